//! Import graph of one crate's files, as the parser sees it: grouped imports, `super::`, full paths in expressions, and
//! re-exports followed to the file that defines the item.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::visit::{self, Visit};

/// Path of a module below the crate root; the root itself is empty.
pub(crate) type Module = Vec<String>;

/// Files of a crate and the imports between them.
pub(crate) struct Imports {
    /// Modules that each module's file names.
    uses: BTreeMap<Module, BTreeSet<Module>>,
}

impl Imports {
    /// Reads all production files below `source`, which holds the crate's root file. Tests are left out.
    pub(crate) fn of(source: &Path) -> Imports {
        let mut files = BTreeMap::new();
        read(source, source, &mut files);
        let exports = files.iter().map(|(module, file)| (module.clone(), exports(module, file))).collect();
        let tree = Tree { modules: files.keys().cloned().collect(), exports };
        let uses = files.iter().map(|(module, file)| (module.clone(), tree.uses(module, file))).collect();
        Imports { uses }
    }

    /// Every module with each module that it names.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.uses.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)))
    }

    /// The first cycle found, as the modules on it. A module may use the modules below it and be used by them: that is
    /// no cycle, for the files of one folder are one piece with the folder's own file as its face.
    pub(crate) fn cycle(&self) -> Option<Vec<Module>> {
        let mut done = BTreeSet::new();
        self.uses.keys().find_map(|module| self.cycle_from(module, &mut Vec::new(), &mut done))
    }

    fn cycle_from(
        &self,
        module: &Module,
        way: &mut Vec<Module>,
        done: &mut BTreeSet<Module>,
    ) -> Option<Vec<Module>> {
        if let Some(first) = way.iter().position(|passed| passed == module) {
            return Some(way[first..].to_vec());
        }
        if done.contains(module) {
            return None;
        }
        way.push(module.clone());
        let next = self.uses.get(module).into_iter().flatten().filter(|next| !next.starts_with(module));
        let found = next.into_iter().find_map(|next| self.cycle_from(next, way, done));
        way.pop();
        done.insert(module.clone());
        found
    }
}

fn read(source: &Path, folder: &Path, files: &mut BTreeMap<Module, syn::File>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if stem != "tests" && stem != "bin" {
                read(source, &path, files);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") && !stem.ends_with("_tests") {
            let mut module: Module = path
                .strip_prefix(source)
                .unwrap()
                .with_extension("")
                .iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            if matches!(stem.as_str(), "lib" | "main" | "mod") {
                module.pop();
            }
            let text = fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            files.insert(module, file);
        }
    }
}

/// Names that a module re-exports, each with its path as written, made absolute if it begins at the crate.
fn exports(module: &Module, file: &syn::File) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for item in &file.items {
        if let syn::Item::Use(item) = item
            && !matches!(item.vis, syn::Visibility::Inherited)
        {
            for (path, name) in flatten(&item.tree) {
                if let Some(path) = absolute(module, &path) {
                    found.insert(name, path);
                }
            }
        }
    }
    found
}

/// Paths of a `use` tree, each with the name that it brings into scope.
fn flatten(tree: &syn::UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        syn::UseTree::Path(path) => {
            let below = flatten(&path.tree).into_iter();
            below
                .map(|(mut rest, name)| {
                    let own = path.ident.to_string();
                    let name = if name == "self" { own.clone() } else { name };
                    rest.retain(|segment| segment != "self");
                    rest.insert(0, own);
                    (rest, name)
                })
                .collect()
        }
        syn::UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        syn::UseTree::Rename(name) => vec![(vec![name.ident.to_string()], name.rename.to_string())],
        syn::UseTree::Glob(_) => vec![(vec![], "*".into())],
        syn::UseTree::Group(group) => group.items.iter().flat_map(flatten).collect(),
    }
}

/// A path from the crate's root, if it begins with `crate`, `self` or `super`.
fn absolute(module: &Module, path: &[String]) -> Option<Vec<String>> {
    let mut from = module.clone();
    let mut rest = path;
    match path.first()?.as_str() {
        "crate" => {
            from.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                from.pop();
                rest = &rest[1..];
            }
        }
        _ => {}
    }
    from.extend(rest.iter().cloned());
    Some(from)
}

/// Modules of a crate and the names that each re-exports.
struct Tree {
    modules: BTreeSet<Module>,
    exports: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

impl Tree {
    fn uses(&self, module: &Module, file: &syn::File) -> BTreeSet<Module> {
        let mut paths = Paths::default();
        paths.visit_file(file);
        let starts = |path: &Vec<String>| {
            let first = path.first().map(String::as_str);
            // A path may also begin with the name of a child module.
            matches!(first, Some("crate" | "self" | "super"))
                || first.is_some_and(|name| {
                    self.modules.contains(&[module.as_slice(), &[name.to_owned()]].concat())
                })
        };
        let own = paths.0.iter().filter(|path| starts(path)).filter_map(|path| absolute(module, path));
        own.filter_map(|path| self.resolve(&path, 0)).filter(|found| found != module).collect()
    }

    /// The module that a path leads to, behind re-exports.
    fn resolve(&self, path: &[String], depth: usize) -> Option<Module> {
        let length = (0..=path.len()).rev().find(|length| self.modules.contains(&path[..*length]))?;
        let module = path[..length].to_vec();
        let Some(name) = path.get(length) else { return Some(module) };
        match self.exports.get(&module).and_then(|exports| exports.get(name)) {
            Some(to) if depth < 8 && to.as_slice() != path => {
                let further = [to.as_slice(), &path[length + 1..]].concat();
                // A name of another crate leads nowhere here, and counts as the module that re-exports it.
                self.resolve(&further, depth + 1).filter(|found| !found.is_empty()).or(Some(module))
            }
            _ => Some(module),
        }
    }
}

/// All paths of a file outside its tests.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.0.extend(flatten(&item.tree).into_iter().map(|(path, _)| path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    // `pub(crate)` names no module.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
        });
        if !is_test {
            visit::visit_item_mod(self, item);
        }
    }
}
