# What is wrong with a flake.lock: it must be what flake.nix and docs/nix.md say it is. Takes the lock as a string, so that
# the tests can hand in damaged ones, and returns the list of problems.
text:
let
  lock = builtins.fromJSON text;
  inherit (import ../../flake.nix) inputs;
  documentation = builtins.readFile ../../docs/nix.md;
  names = builtins.attrNames inputs;
  nodes = lock.nodes or { };

  problem = condition: message: if condition then [ ] else [ message ];
  contains = part: whole: builtins.length (builtins.split (quote part) whole) > 1;
  quote = builtins.replaceStrings [ "+" "." ] [ "\\+" "\\." ];

  # `github:owner/repo` with an optional branch or revision.
  reference =
    url:
    let
      parts = builtins.match "github:([^/]+)/([^/]+)(/(.+))?" url;
      last = builtins.elemAt parts 3;
    in
    {
      type = "github";
      owner = builtins.elemAt parts 0;
      repo = builtins.elemAt parts 1;
    }
    // (
      if last == null then
        { }
      else if builtins.match "[0-9a-f]{40}" last != null then
        { rev = last; }
      else
        { ref = last; }
    );

  follows = builtins.mapAttrs (_: input: if input.follows == "" then [ ] else [ input.follows ]);

  problemsOf =
    name:
    let
      node = nodes.${name};
      locked = node.locked or { };
      expected = reference inputs.${name}.url;
      is = pattern: value: builtins.isString value && builtins.match pattern value != null;
    in
    if !nodes ? ${name} then
      [ "${name} is not locked" ]
    else
      problem (node.original or null == expected) "${name} is not locked for the URL in flake.nix"
      ++ problem (
        builtins.intersectAttrs {
          owner = null;
          repo = null;
          type = null;
        } locked == builtins.removeAttrs expected [
          "ref"
          "rev"
        ]
      ) "${name} is locked to another repository"
      ++ problem (is "[0-9a-f]{40}" (locked.rev or null)) "${name} is not locked to a revision"
      ++ problem (
        !expected ? rev || expected.rev == locked.rev or null
      ) "${name} is locked to another revision than flake.nix names"
      ++ problem (is "sha256-[A-Za-z0-9+/]{43}=" (locked.narHash or null)) "${name} has no content hash"
      ++ problem (builtins.isInt (locked.lastModified or null)) "${name} has no date"
      ++ problem (
        (node.inputs or { }) == follows (inputs.${name}.inputs or { })
      ) "${name} does not follow what flake.nix says"
      ++
        builtins.concatMap
          (
            pin:
            problem (contains (locked.${pin} or "nothing"
            ) documentation) "docs/nix.md does not name the ${pin} of ${name}"
          )
          [
            "rev"
            "narHash"
          ];
in
problem (lock.version or null == 7) "the lock file's version is not 7"
++ problem (lock.root or null == "root") "the lock file has no root"
++ problem (
  nodes.root.inputs or null == builtins.listToAttrs (
    map (name: {
      inherit name;
      value = name;
    }) names
  )
) "the root's inputs are not those of flake.nix"
++ problem (
  builtins.attrNames nodes == builtins.sort builtins.lessThan (names ++ [ "root" ])
) "something is locked that flake.nix does not name"
++ builtins.concatMap problemsOf names
