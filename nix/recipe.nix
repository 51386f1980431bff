# What crane and naersk are both told about a platform. Neither knows more than plain cargo does: the recipe of the bytes
# is in Cargo.toml and link.toml.
{
  writeText,
  source,
  contract,
}:
let
  inherit (contract) binary;
in
platform: {
  inherit (source) version;
  src = source.dltest;

  cargoArguments = [
    "--locked"
    "--package ${binary}"
    "--target ${platform.target}"
    "--config cmd/${binary}/link.toml"
  ];

  attributes = {
    strictDeps = true;

    postPatch = ''
      cp ${writeText "Cargo.lock" source.dltestLock} Cargo.lock
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
