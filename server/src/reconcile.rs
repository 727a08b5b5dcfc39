//! `omnitrace reconcile`: one pass after the other, until it is told to stop.

use std::time::Duration;

use omnitrace::history::{Connect, HealError, Healer, Pass, ReconcileOptions, Reconciler};
use tokio::signal::unix::{SignalKind, signal};

use crate::Answer;
use crate::cli::ReconcileArgs;
use crate::database;
use crate::error::CliError;
use crate::text::count;

pub(crate) async fn run(url: Option<&str>, args: ReconcileArgs) -> Result<Answer, CliError> {
    let settings = database::recording_settings()?;
    let server = Connect::from(args.temporal).server().await?;
    let store = database::open_for_writing(url, &settings).await?;
    let healer = Healer::new(server, store.clone(), &settings);
    let mut options = ReconcileOptions::default();
    options.settle = args.settle;
    options.since = args.since;
    options.follow = true;
    // Another one takes over when this one misses a pass.
    options.lease = args.every * 2 + Duration::from_secs(30);
    let mut reconciler = Reconciler::new(healer, options);
    let answer = if args.once {
        let pass = reconciler.pass().await?;
        let good = pass.failed == 0;
        let text = line(&pass, args.json);
        Ok(Answer { text, good })
    } else {
        again_and_again(&mut reconciler, args.every, args.json).await
    };
    reconciler.release().await;
    store.close().await;
    answer
}

async fn again_and_again(
    reconciler: &mut Reconciler,
    every: Duration,
    json: bool,
) -> Result<Answer, CliError> {
    let mut terminated = signal(SignalKind::terminate()).map_err(CliError::Output)?;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let pass = async {
            ticks.tick().await;
            reconciler.pass().await
        };
        tokio::select! {
            pass = pass => match pass {
                Ok(pass) => crate::print(&line(&pass, json))?,
                // They may be back at the next pass.
                Err(error @ (HealError::Server(_) | HealError::Read(_) | HealError::Write(_))) => {
                    crate::fail(&error.into());
                }
                Err(error) => return Err(error.into()),
            },
            _ = tokio::signal::ctrl_c() => break,
            _ = terminated.recv() => break,
        }
    }
    Ok(Answer::from(String::new()))
}

fn line(pass: &Pass, json: bool) -> String {
    if json {
        return serde_json::to_string(pass).unwrap_or_default() + "\n";
    }
    if pass.elsewhere {
        return "another reconciler holds the lease\n".to_owned();
    }
    let mut text = format!(
        "{} looked at, {} recorded, {} healed",
        count(pass.looked_at, "run"),
        pass.recorded,
        pass.healed
    );
    for (n, what) in [
        (pass.left_out, "left out by sampling"),
        (pass.unknown, "without a history"),
        (pass.erased, "erased"),
        (pass.failed, "failed"),
    ] {
        if n > 0 {
            text += &format!(", {n} {what}");
        }
    }
    if let Some(error) = &pass.error {
        text += &format!(": {error}");
    }
    text + "\n"
}
