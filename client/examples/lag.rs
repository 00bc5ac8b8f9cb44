//! Prints how far each consumer group is behind: `lag -- BOOTSTRAP`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::env;

use trilog_client::admin::{Admin, AdminConfig, GroupFilter, Isolation, OffsetSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bootstrap = env::args().nth(1).ok_or("usage: lag BOOTSTRAP")?;
    let admin = Admin::new(AdminConfig::new(&bootstrap)?)?;
    let groups = admin.list_groups(&GroupFilter::default()).await?.groups;
    let names: Vec<String> = groups.into_iter().map(|group| group.group).collect();
    for (group, committed) in admin.list_group_offsets(names).await {
        let committed = committed?;
        let ends = committed.keys().map(|partition| (partition.clone(), OffsetSpec::Latest));
        let ends = admin.list_offsets(ends, Isolation::ReadUncommitted).await;
        for (partition, commit) in committed {
            // A partition whose topic was deleted has no end.
            if let Some(Ok(Some(end))) = ends.get(&partition) {
                println!("{group} {partition}: {}", end.offset - commit?.offset);
            }
        }
    }
    Ok(())
}
