//! A server in a process of its own, to be killed.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    sync::LazyLock,
    time::Duration,
};

use tokio::process::{Child, Command};

use crate::harness::Database;

pub struct Process {
    pub address: SocketAddr,
    child: Child,
}

/// The harness's servers have the same secret, so both hash alike. Written once: another
/// test's server must not find it half written.
static SECRET_FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("pledgebook-it-secret-{}", std::process::id()));
    std::fs::write(&path, [7; 32]).unwrap();
    path
});

/// The program, on this database.
pub fn program(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pledgebook"));
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("DATABASE_URL", database.url("pledgebook_app"))
        .env("DATABASE_REPORT_URL", database.url("pledgebook_report"))
        .env("PLEDGEBOOK_SECRET_FILE", SECRET_FILE.as_path())
        .env("PLEDGEBOOK_LOG", "error")
        .env("PLEDGEBOOK_CONNECTIONS", "4")
        // Batches go ahead of each other however small they are: what is to be killed.
        .env("PLEDGEBOOK_AHEAD", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

fn spawn(address: SocketAddr, database: &Database) -> Child {
    program(database)
        .arg("serve")
        .env("PLEDGEBOOK_LISTEN", address.to_string())
        .env("PLEDGEBOOK_PEER", "127.0.0.1:0")
        .spawn()
        .unwrap()
}

impl Process {
    pub async fn start(database: &Database) -> Self {
        // A port that is free now; nobody else on this machine is after it.
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut process = Self {
            address,
            child: spawn(address, database),
        };
        process.wait_until_it_listens().await;
        process
    }

    pub async fn kill_and_restart(&mut self, database: &Database) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
        self.child = spawn(self.address, database);
        self.wait_until_it_listens().await;
    }

    /// SIGTERM: the process drains and ends with success.
    pub async fn terminate(mut self) {
        let pid = self.child.id().unwrap().to_string();
        let told = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap();
        assert!(told.success());
        assert!(self.child.wait().await.unwrap().success());
    }

    async fn wait_until_it_listens(&mut self) {
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the server ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not listen");
    }
}
