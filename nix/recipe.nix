# What crane and naersk are both told about a platform. Neither knows more than plain cargo does: the recipe of the bytes
# is in Cargo.toml and link.toml.
{
  source,
  contract,
  toolchains,
}:
let
  inherit (contract) binary;
in
platform: {
  inherit binary;
  inherit (source) version;
  # Said, and not left to the builders: a stdenv adds its own host to `pname`, which says nothing of the artifact.
  name = "${platform.asset}-${source.version}";
  src = source.dltest;
  toolchain = toolchains.forTarget platform.target;

  cargoArguments = [
    "--locked"
    "--package ${binary}"
    "--target ${platform.target}"
    "--config cmd/${binary}/link.toml"
  ];

  attributes = {
    strictDeps = true;

    postPatch = ''
      cp ${builtins.toFile "Cargo.lock" source.dltestLock} Cargo.lock
    '';

    postInstall = ''
      mv $out/bin/${binary} $out/bin/${platform.asset}
      ln -s ${platform.asset} $out/bin/${binary}
    '';

    # The bytes are cargo's: nothing is stripped, patched or signed behind its back, and no store path is in them.
    dontFixup = true;
    allowedReferences = [ ];
  };
}
