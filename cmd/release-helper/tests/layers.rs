//! Who uses whom: a file uses its own layer of the helper and those below it, and no files use each other in a circle.
//! Read off the paths in the sources, without what their tests use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The layers of the helper, from the top (CONTRIBUTING.md, "Find the room").
const LAYERS: [&str; 4] = ["commands", "jobs", "domain", "plumbing"];

/// Modules, and which others each one uses.
type Uses<'a> = BTreeMap<&'a [String], BTreeSet<&'a [String]>>;

/// The modules of a crate by their paths, `crate` left out, with what they use.
struct Sources {
    /// A module's path, and its text without comments and tests.
    texts: BTreeMap<Vec<String>, String>,
    /// What a module passes on under its own name, and from where.
    passed_on: BTreeMap<Vec<String>, Vec<String>>,
}

impl Sources {
    fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let module = |name: &str| {
            let mut path: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            path.pop_if(|last| last == "mod" || last == "lib");
            path
        };
        let code = |text: &str| {
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
        };
        let texts = files.into_iter().map(|(name, text)| (module(&name), code(&text))).collect();
        let mut sources = Self { texts, passed_on: BTreeMap::new() };
        let modules: Vec<_> = sources.texts.keys().cloned().collect();
        for module in modules {
            for (is_passed_on, path) in used(&sources.texts[&module]) {
                if let (true, Some(path)) = (is_passed_on, sources.absolute(&module, &path)) {
                    let name = path.last().cloned().unwrap_or_default();
                    sources.passed_on.insert([module.clone(), vec![name]].concat(), path);
                }
            }
        }
        sources
    }

    /// The files below `directory`.
    fn of(directory: &Path) -> Self {
        let mut files = Vec::new();
        let mut directories = vec![directory.to_owned()];
        while let Some(next) = directories.pop() {
            for entry in next.read_dir().unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    directories.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                    files.push((name, std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Self::new(files)
    }

    /// `path`, as written in `module`, from the crate's root; none if it leads elsewhere.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut base = match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" | "super" => module.to_vec(),
            child => {
                let is_child = self.texts.contains_key(&[module, &[child.to_owned()]].concat());
                return is_child.then(|| [module, path].concat());
            }
        };
        let mut rest = path;
        while let Some((first, further)) =
            rest.split_first().filter(|(first, _)| ["self", "super"].contains(&&***first))
        {
            if first == "super" {
                base.pop();
            }
            rest = further;
        }
        Some([&base, rest].concat())
    }

    /// The module that holds what `path` names.
    fn holder(&self, path: &[String]) -> &[String] {
        for length in (1..=path.len()).rev() {
            let (named, rest) = path.split_at(length);
            if let Some(origin) = self.passed_on.get(named).filter(|origin| !origin.starts_with(named)) {
                return self.holder(&[origin, rest].concat());
            }
        }
        let known = |length: &usize| self.texts.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(known).unwrap_or_default();
        self.texts.get_key_value(&path[..length]).map_or(&[], |(module, _)| module)
    }

    /// Which modules each one uses. What it passes on is used by those who take it from there.
    fn uses(&self) -> Uses<'_> {
        self.uses_of(|is_passed_on| !is_passed_on)
    }

    /// Which modules each one names in the paths that are `wanted`.
    fn uses_of(&self, wanted: impl Fn(bool) -> bool) -> Uses<'_> {
        let of = |module: &Vec<String>, text: &str| {
            let paths = used(text).into_iter().filter(|(is_passed_on, _)| wanted(*is_passed_on));
            let holders = paths.filter_map(|(_, path)| Some(self.holder(&self.absolute(module, &path)?)));
            holders.filter(|holder| holder != module).collect()
        };
        self.texts.iter().map(|(module, text)| (&**module, of(module, text))).collect()
    }

    /// Uses of a higher layer, to pass it on, too.
    fn upward(&self) -> Vec<String> {
        let layer =
            |module: &[String]| LAYERS.iter().position(|layer| module.first().is_some_and(|first| first == layer));
        let uses = self.uses_of(|_| true);
        let pairs = uses.iter().flat_map(|(module, used)| used.iter().map(move |used| (*module, *used)));
        pairs
            .filter(|(module, used)| layer(module).zip(layer(used)).is_some_and(|(own, other)| own > other))
            .map(|(module, used)| format!("{} uses {}", module.join("::"), used.join("::")))
            .collect()
    }
}

/// A circle of modules that use each other, if there is one.
fn circle(mut left: Uses<'_>) -> Option<Vec<String>> {
    // Whoever uses nothing that is left is in no circle.
    while let Some(module) =
        left.iter().find(|(_, used)| !used.iter().any(|used| left.contains_key(used))).map(|(module, _)| *module)
    {
        left.remove(module);
    }
    let mut way = vec![*left.keys().next()?];
    loop {
        let next = *left[way.last()?].iter().find(|used| left.contains_key(*used))?;
        if let Some(start) = way.iter().position(|module| *module == next) {
            return Some(way[start..].iter().map(|module| module.join("::")).collect());
        }
        way.push(next);
    }
}

/// The paths in `text`, and whether each is passed on under the module's own name (`pub use`).
fn used(text: &str) -> Vec<(bool, Vec<String>)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("use ") {
        let before = &rest[..start];
        let end = rest[start..].find(';').map_or(rest.len(), |end| start + end);
        let begins = before.ends_with(['\n', ' ', ')']) || before.is_empty();
        if begins {
            let line = before.rsplit('\n').next().unwrap_or_default();
            let mut paths = Vec::new();
            expand(&rest[start + 4..end], &[], &mut paths);
            found.extend(paths.into_iter().map(|path| (line.trim_start().starts_with("pub"), path)));
        }
        // What stands between `use` lines may name modules, too.
        found.extend(named(before).into_iter().map(|path| (false, path)));
        rest = &rest[if begins { end } else { start + 4 }..];
    }
    found.extend(named(rest).into_iter().map(|path| (false, path)));
    found
}

/// The paths of a tree of `use`: `a::{b, c::d as e}`.
fn expand(tree: &str, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let (head, inner) = match tree.split_once('{') {
        Some((head, inner)) => (head, inner.trim_end().strip_suffix('}')),
        None => (tree.split(" as ").next().unwrap_or_default(), None),
    };
    let names = head.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let path: Vec<String> = prefix.iter().cloned().chain(names).collect();
    let Some(inner) = inner else { return paths.push(path) };
    let mut depth = 0;
    let separate = |letter: char| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    };
    inner.split(separate).filter(|part| !part.trim().is_empty()).for_each(|part| expand(part, &path, paths));
}

/// The paths with `::` in code.
fn named(code: &str) -> Vec<Vec<String>> {
    let words = code.split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ':'));
    words.filter(|word| word.contains("::")).map(|word| word.split("::").map(str::to_owned).collect()).collect()
}

fn sources(name: &str) -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = Sources::of(&root.join("cmd").join(name).join("src"));
    assert!(sources.texts.len() > 5, "{:?}", sources.texts.keys());
    sources
}

#[test]
fn no_file_of_the_helper_uses_a_higher_layer() {
    let sources = sources("release-helper");
    assert_eq!(sources.upward(), [""; 0]);
    // Whatever there is belongs to a layer.
    let top: BTreeSet<&str> = sources.texts.keys().filter_map(|module| Some(module.first()?.as_str())).collect();
    let known: BTreeSet<&str> = LAYERS.into_iter().chain(["main", "inherited"]).collect();
    assert_eq!(top, known);
}

#[test]
fn no_files_of_the_helper_use_each_other_in_a_circle() {
    assert_eq!(circle(sources("release-helper").uses()), None);
}

/// The released program has one room, for the operating system. Its files do use each other: where a function stands
/// decides on its place in the artifact, so they stay where they are until its bytes change anyway.
#[test]
fn no_rooms_of_the_program_use_each_other_in_a_circle() {
    let sources = sources("tsuku-dltest");
    let mut rooms = Uses::new();
    for (module, used) in sources.uses() {
        let used = used.into_iter().filter_map(|used| used.get(..1)).filter(|room| !module.starts_with(room));
        rooms.entry(&module[..1]).or_default().extend(used);
    }
    assert_eq!(circle(rooms), None);
}

#[test]
fn a_use_of_a_higher_layer_and_a_circle_are_found_however_they_are_written() {
    let of = |files: &[(&str, &str)]| Sources::new(files.iter().map(|&(name, text)| (name.into(), text.into())));
    let tree = |text: &'static str| {
        of(&[
            ("lib.rs", "mod commands;\nmod domain;\n"),
            ("commands/mod.rs", "pub mod one;\n"),
            ("commands/one.rs", "use crate::domain::room::Thing;\n"),
            ("domain/room/mod.rs", "mod part;\nmod other;\npub use part::{Thing, other::X as Y};\n"),
            ("domain/room/part.rs", text),
            ("domain/room/other.rs", "use super::part::Thing;\n"),
        ])
    };
    let fine = tree("use super::super::super::Verdict;\n// crate::commands::one\nuse std::{fmt, io};\n");
    assert_eq!((fine.upward(), circle(fine.uses())), (vec![], None));
    for text in [
        "use crate::commands::one::One;\n",
        "pub use crate::commands::one::One;\n",
        "use crate::{domain, commands::{one::One}};\n",
        "fn f() { crate::commands::one::run() }\n",
        "fn f() -> super::super::super::commands::one::One {}\n",
    ] {
        assert_eq!(tree(text).upward(), ["domain::room::part uses commands::one"], "{text}");
    }
    for text in ["use super::other::X;\n", "fn f(x: super::other::X) {}\n", "use crate::domain::room::other::{self};\n"]
    {
        let mut found = circle(tree(text).uses()).unwrap_or_default();
        found.sort();
        assert_eq!(found, ["domain::room::other", "domain::room::part"], "{text}");
    }
    // Its tests may use what they like.
    assert_eq!(circle(tree("#[cfg(test)]\nmod tests {\n    use super::other::X;\n}\n").uses()), None);
}
