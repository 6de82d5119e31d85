//! Dependencies run one way: a `use` in the wrong direction fails here, with
//! file and line.

use std::{fs, path::Path};

/// Each module with the modules of ours that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("id", &[]),
    ("money", &["id"]),
    ("ledger", &["id", "money"]),
    ("domain", &["id", "money", "ledger"]),
    ("access", &["id"]),
    ("secret", &["id"]),
    ("store", &["id", "money", "ledger", "domain", "access"]),
    ("book", &["id", "domain", "store", "clock"]),
    (
        "app",
        &["id", "money", "domain", "store", "book", "clock", "secret"],
    ),
    ("report", &["id", "money", "ledger", "domain"]),
    (
        "webhook",
        &[
            "id", "money", "domain", "store", "book", "app", "clock", "secret",
        ],
    ),
    (
        "grpc",
        &[
            "id", "money", "ledger", "domain", "access", "store", "book", "app", "report",
            "webhook", "clock", "secret",
        ],
    ),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("postgres", &[]),
    ("gathering", &[]),
    ("server", &["app", "report", "webhook", "grpc", "gathering"]),
    (
        "cli",
        &[
            "access",
            "app",
            "book",
            "clock",
            "config",
            "gathering",
            "grpc",
            "id",
            "money",
            "postgres",
            "report",
            "secret",
            "server",
            "store",
            "telemetry",
            "webhook",
        ],
    ),
];

/// Crates with a home: nobody else may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["store", "report", "postgres"]),
    ("tonic", &["grpc", "gathering", "server", "cli"]),
    ("axum", &["webhook", "server"]),
    ("nix", &["postgres"]),
    ("clap", &["cli", "main"]),
];

/// What pure modules know nothing of.
const PURE: &[&str] = &["money", "ledger", "domain"];
const IMPURE: &[&str] = &[
    "async ",
    "tokio::",
    "std::fs",
    "std::env",
    "std::net",
    "SystemTime",
    "rand::",
];

fn module_of(file: &str) -> &str {
    let first = file.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// Whether a line names a crate: as `krate::…`, and not as the end of another name.
fn names_crate(code: &str, krate: &str) -> bool {
    code.match_indices(&format!("{krate}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

/// What is wrong in one source file, a line each.
fn wrong_in(file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    let mut wrong = Vec::new();
    let allowed = MAY_USE
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, allowed)| *allowed);
    // A `use crate::{…}` may run over lines: the names at its first level count.
    let mut depth: Option<i32> = None;
    for (number, line) in (1..).zip(source.lines()) {
        let code = line.split("//").next().unwrap();
        let mut used: Vec<&str> = code
            .match_indices("crate::")
            .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            .map(|(at, _)| &code[at + "crate::".len()..])
            .collect();
        if let Some(inside) = depth.as_mut() {
            if *inside == 1 {
                used.push(code.trim_start());
            }
            for c in code.chars() {
                *inside += i32::from(c == '{') - i32::from(c == '}');
            }
            if *inside <= 0 {
                depth = None;
            }
        }
        if let Some(rest) = code.trim_start().strip_prefix("use crate::{") {
            let open = 1 + rest.matches('{').count() - rest.matches('}').count();
            if open > 0 {
                depth = Some(i32::try_from(open).unwrap());
            } else {
                used.extend(rest.split(", "));
            }
        }
        for name in used {
            let end = name
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(name.len());
            let name = &name[..end];
            let ours = MAY_USE.iter().any(|(ours, _)| *ours == name);
            if ours && name != module && allowed.is_some_and(|allowed| !allowed.contains(&name)) {
                wrong.push(format!("src/{file}:{number}: {module} may not use {name}"));
            }
        }
        for (krate, homes) in HOMES {
            if names_crate(code, krate) && !homes.contains(&module) {
                wrong.push(format!(
                    "src/{file}:{number}: {krate} has no place in {module}"
                ));
            }
        }
        if PURE.contains(&module)
            && let Some(impure) = IMPURE.iter().find(|impure| code.contains(**impure))
        {
            wrong.push(format!("src/{file}:{number}: {module} is pure: {impure}"));
        }
    }
    if allowed.is_none() && !["lib", "main"].contains(&module) {
        wrong.push(format!(
            "src/{file}: {module} has no place among the modules"
        ));
    }
    wrong
}

fn sources(dir: &Path, into: &mut Vec<(String, String)>, root: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into, root);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            into.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn dependencies_run_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files, &root);
    assert!(files.len() > 30);
    let wrong: Vec<String> = files
        .iter()
        .flat_map(|(file, source)| wrong_in(file, source))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_use_in_the_wrong_direction_is_found() {
    let found = |file, source| !wrong_in(file, source).is_empty();
    assert!(found("domain/pledge.rs", "use crate::store::Store;"));
    assert!(found(
        "domain/pledge.rs",
        "use crate::{\n    id::PledgeId,\n    store::Store,\n};"
    ));
    assert!(found(
        "domain/pledge.rs",
        "use crate::{id::PledgeId, store::Store};"
    ));
    assert!(found("store/mod.rs", "fn f() { crate::grpc::serve() }"));
    assert!(found("book/mod.rs", "let x = sqlx::query(\"\");"));
    assert!(found("app/mod.rs", "use tonic::Status;"));
    assert!(found("ledger/entry.rs", "async fn f() {}"));
    assert!(found("helpers.rs", ""));
    assert!(!found(
        "store/mod.rs",
        "use crate::{\n    domain::{World, store},\n};"
    ));
    assert!(!found("domain/pledge.rs", "// crate::store would be wrong"));
}
