//! `trilog man`: manual pages, made from the definition of the command line.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use crate::failure::Failure;
use crate::screen::Screen;

/// `trilog man [COMMAND…]`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  trilog man | man -l -                          the page of trilog
  trilog man produce | man -l -                  that of a command
  trilog man --dir /usr/local/share/man/man1     all pages, as files")]
pub struct ManArgs {
    /// The command whose page is printed, such as produce; the whole of trilog without one.
    command: Vec<String>,

    /// Write all pages into this directory instead.
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(crate) fn print(
    args: &ManArgs,
    mut definition: clap::Command,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if let Some(dir) = &args.dir {
        let cannot = |error| Failure::file("write manual pages to", dir, &error);
        fs::create_dir_all(dir).map_err(cannot)?;
        return clap_mangen::generate_to(definition, dir).map_err(cannot);
    }
    definition.build();
    let mut chosen = definition;
    for name in &args.command {
        let found = chosen.find_subcommand(name).cloned();
        chosen =
            found.ok_or_else(|| Failure::Usage(format!("there is no command {name:?} to have a page")))?;
    }
    // A page is named by the whole path of its command: trilog-produce(1).
    let title = chosen.get_display_name().unwrap_or_else(|| chosen.get_name()).to_owned();
    let mut page = Vec::new();
    Man::new(chosen).title(title).render(&mut page)?;
    screen.bytes(&page)
}
