//! `trilog completions`: what a shell is told of the command line.

use clap::Args;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::screen::Screen;

/// `trilog completions SHELL`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  trilog completions bash > ~/.local/share/bash-completion/completions/trilog
  trilog completions zsh > ~/.zfunc/_trilog
  trilog completions fish > ~/.config/fish/completions/trilog.fish")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn print(
    args: &CompletionsArgs,
    mut definition: clap::Command,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let name = definition.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition, name, &mut script);
    screen.bytes(&script)
}
