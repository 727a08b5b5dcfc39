//! What is stored is what the server's histories say: compared, filled in, put right and followed by the
//! command line, as a person runs it. Each test has a namespace and a database of its own, because
//! these commands are about all runs of a namespace.

/// The same test on each database.
macro_rules! on_each_database {
    ($($name:ident;)+) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::heal::place::Kind::Sqlite).await;
            }
        )+}

        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::heal::place::Kind::Postgres).await;
            }
        )+}
    };
}

mod audit;
mod backfill;
mod codec_server;
mod damage;
mod desk;
mod differences;
mod erasure;
mod left_behind;
mod place;
mod postgres;
mod reconcile;
mod runs;
mod stopped;
mod switches;
mod tenant;
mod wrong;
