use std::process::ExitCode;

use clap::{Parser, Subcommand};
use falaj::{command, dial, image, replay, serve, server, train};

/// Falaj's runtime: trains, serves and watches what the provider declares.
#[derive(Parser)]
#[command(name = "falaj", version = falaj_api::version())]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// The control plane of a local cluster; started by the provider.
    Server(server::Args),
    /// Predictions; started by the server.
    #[command(hide = true)]
    Serve(serve::Args),
    /// One training run; started by the server.
    #[command(hide = true)]
    Train(dial::Args),
    /// Sends the rows of a Parquet file to an endpoint and measures the answers.
    Replay(replay::Args),
    /// Monitors of a running cluster.
    #[command(subcommand)]
    Monitor(command::Monitor),
    /// Evidence that nothing was altered.
    #[command(subcommand)]
    Audit(command::Audit),
    /// The container image of this release, for Kubernetes.
    #[command(subcommand)]
    Image(image::Image),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("FALAJ_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    // A crash must not leave what was in memory on the disk.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let outcome = runtime.block_on(async {
        match cli.role {
            Role::Server(args) => server::run(args).await,
            Role::Serve(args) => serve::run(args).await,
            Role::Train(args) => train::run(args).await,
            Role::Replay(args) => replay::run(args).await,
            Role::Monitor(monitor) => command::monitor(monitor).await,
            Role::Audit(audit) => command::audit(audit).await,
            Role::Image(image) => image::run(image).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    tracing::debug!(?error);
    eprintln!("falaj: {error:#}");
    ExitCode::FAILURE
}
