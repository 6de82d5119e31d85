//! The crate cala-ledger, in a program of its own, so that no ordinary build compiles it.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use tokio::process::Command;

use crate::{MEMBERS, Plan, place::Place};

pub struct Cala {
    program: PathBuf,
    databases: AtomicUsize,
}

impl Cala {
    /// Builds it, which takes minutes the first time; nothing when that fails, for want
    /// of a network for example, or when it is not there and `only_if_built`.
    pub async fn build(only_if_built: bool) -> Option<Self> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = root.join("target/bench-cala");
        let program = target.join("release/pledgebook-bench-cala");
        if only_if_built {
            return program.exists().then(|| Self::of(program));
        }
        println!("building cala-ledger's program");
        let built = Command::new("cargo")
            .args([
                "build",
                "--release",
                "--locked",
                "--quiet",
                "--manifest-path",
            ])
            .arg(root.join("tests/bench/cala/Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .current_dir(root)
            .status()
            .await
            .unwrap();
        if !built.success() {
            println!("it does not build here, so its figures are left out");
            return None;
        }
        Some(Self::of(program))
    }

    fn of(program: PathBuf) -> Self {
        Self {
            program,
            databases: AtomicUsize::new(0),
        }
    }

    /// Singly by 64 tasks, and in its own batches: postings a second.
    pub async fn run(&self, place: &Place, plan: Plan) -> (f64, f64) {
        let single = self.mode(place, "single", plan).await;
        let batch = self.mode(place, "batch", plan).await;
        (single, batch)
    }

    async fn mode(&self, place: &Place, mode: &str, plan: Plan) -> f64 {
        // A fresh database each time, since it makes its own schema. None is dropped before the
        // end: that is a checkpoint, after which whoever comes next logs every page whole.
        let nth = self.databases.fetch_add(1, Ordering::Relaxed);
        let database = format!("cala_{nth}");
        place.empty(&database).await;
        place.settle(&database).await;
        let output = Command::new(&self.program)
            .args(["--database", &place.url("postgres", &database)])
            .args(["--mode", mode, "--tasks", "64", "--postings", "1000000"])
            .args(["--counterparties", &MEMBERS.to_string()])
            .args(["--seconds", &plan.run.as_secs_f64().ceil().to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        report["per_second"].as_f64().unwrap()
    }
}
