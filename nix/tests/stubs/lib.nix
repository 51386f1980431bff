# The few functions of nixpkgs' lib that this project uses, for a Nix without nixpkgs.
rec {
  inherit (builtins)
    attrNames
    attrValues
    concatStringsSep
    filter
    head
    mapAttrs
    readFile
    tail
    ;
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: builtins.listToAttrs (map (name: nameValuePair name (f name)) names);
  mapAttrs' = f: set: builtins.listToAttrs (map (name: f name set.${name}) (attrNames set));
  findFirst =
    wanted: default: list:
    builtins.head (filter wanted list ++ [ default ]);
  optional = condition: value: optionals condition [ value ];
  optionals = condition: list: if condition then list else [ ];
  optionalString = condition: string: if condition then string else "";
  concatMapStringsSep =
    separator: f: list:
    concatStringsSep separator (map f list);
  # Only for separators without special characters of a regular expression but brackets.
  splitString =
    separator: string:
    filter builtins.isString (
      builtins.split (builtins.replaceStrings [ "[" "]" ] [ "\\[" "]" ] separator) string
    );
  importTOML = path: builtins.fromTOML (readFile path);
  makeBinPath = concatMapStringsSep ":" (package: "${package}/bin");
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  licenses.mit = "MIT";
  fileset = {
    toSource = { root, fileset }: fileset;
    unions = map toString;
    difference = whole: part: "${toString whole} without ${toString part}";
  };
}
