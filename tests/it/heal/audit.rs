//! What is planted is found in every column of text of every table that there is, on each database.

use std::collections::BTreeSet;

use serde_json::Value;

use super::place::{Kind, Place};

on_each_database! {
    what_is_planted_is_found_in_every_column_of_text;
}

const PLANTED: &str = "bob@example.com";

async fn what_is_planted_is_found_in_every_column_of_text(kind: Kind) {
    let place = Place::new(kind).await;
    assert_eq!(place.run(&["migrate"]).await.code, 0);
    let store = place.open().await.expect("a store");
    let mut tables = store.text_tables().await.expect("readable");
    store.close().await;
    tables.retain(|table| !table.texts.is_empty());
    // Others may refer to a run.
    tables.sort_by_key(|table| table.name != "omnitrace_runs");
    let mut planted = BTreeSet::new();
    for table in &tables {
        let columns = place.columns(&table.name).await;
        let values = columns
            .iter()
            .map(|column| match table.texts.contains(column) {
                true => format!("'{PLANTED}'"),
                false => "'1'".to_owned(),
            });
        let (values, names) = (values.collect::<Vec<_>>().join(", "), columns.join(", "));
        let sql = format!("INSERT INTO {} ({names}) VALUES ({values})", table.name);
        assert_eq!(place.sql(&sql).await, 1);
        planted.extend(
            table
                .texts
                .iter()
                .map(|column| (table.name.clone(), column.clone())),
        );
    }
    for (table, column) in [
        ("omnitrace_cuts", "scope"),
        ("omnitrace_erasures", "reason"),
        ("omnitrace_hourly", "tenant_id"),
        ("omnitrace_leases", "holder"),
        ("omnitrace_promotions", "reason"),
        ("omnitrace_replays", "message"),
        ("omnitrace_switches", "reason"),
        ("omnitrace_tokens", "name"),
    ] {
        let column = (table.to_owned(), column.to_owned());
        assert!(planted.contains(&column), "{column:?}");
    }

    let said = place.run(&["audit", "--json", "--limit", "100000"]).await;
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{said:?}");
    let finds = said.out.lines().map(|line| {
        let find: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(find["kind"], "email", "{find}");
        let text = |field: &str| find[field].as_str().expect("text").to_owned();
        (text("table"), text("column"))
    });
    assert_eq!(finds.collect::<BTreeSet<_>>(), planted);
    // The run's status is none, so what would leave can't be told: that is said, and not what it holds instead.
    let told = place.run(&["audit"]).await;
    let unread = "what would leave was not looked through: ";
    assert!(
        told.out.contains(unread) && told.out.contains("[email]"),
        "{told:?}"
    );
    for said in [said, told] {
        assert!(!format!("{said:?}").contains("bob"), "{said:?}");
    }
}
