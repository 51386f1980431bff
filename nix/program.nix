# The program for people with Nix: a machine's artifact, and where the loader that it names is not (NixOS), the loader of
# this package set. The artifact itself stays the published bytes.
{
  lib,
  glibc,
  runtimeShell,
  writeTextFile,
}:
platform: artifact:
let
  name = artifact.meta.mainProgram;
in
# musl's artifact has no interpreter, and every Mac has the one that its artifact names.
if !platform ? interpreter then
  artifact
else
  writeTextFile {
    name = "${name}-${artifact.version}";
    destination = "/bin/${name}";
    executable = true;
    # NixOS may have a program at the loader's place that only says why there is none: so the loader is asked.
    text = ''
      #!${runtimeShell}
      program=${artifact}/bin/${platform.asset}
      if ${platform.interpreter} --verify "$program" >/dev/null 2>&1; then
        exec "$program" "$@"
      fi
      exec ${glibc}/lib/${baseNameOf platform.interpreter} "$program" "$@"
    '';
    meta = artifact.meta // {
      description = "Reports whether libraries load";
    };
  }
