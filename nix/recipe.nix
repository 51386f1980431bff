# What crane and naersk are both told about a platform. Neither knows more than plain cargo does: the recipe of the bytes
# is in Cargo.toml, link.toml and build.rs.
{
  lib,
  writeText,
  source,
  contract,
  release-helper,
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
    nativeBuildInputs = lib.optional platform.isDarwin release-helper;

    postPatch = ''
      cp ${writeText "Cargo.lock" source.dltestLock} Cargo.lock
    '';

    postInstall = ''
      mv $out/bin/${binary} $out/bin/${platform.asset}
      ln -s ${platform.asset} $out/bin/${binary}
    ''
    + lib.optionalString platform.isDarwin ''
      release-helper sign --linker-signed --identifier ${contract.signing-identifier} $out/bin/${platform.asset}
    '';

    # The bytes are cargo's: nothing is stripped, patched or signed behind its back, and no store path is in them.
    dontFixup = true;
    allowedReferences = [ ];
  };
}
