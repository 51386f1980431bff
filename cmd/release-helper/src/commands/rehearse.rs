//! `rehearse`: the whole release on this machine.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::source;
use crate::jobs::rehearse::{Options, rehearse};
use crate::plumbing::output;

#[derive(clap::Args)]
pub struct Rehearse {
    /// The tag to release; it need not exist
    #[arg(default_value = "v0.0.0-rehearsal.1")]
    tag: String,
    /// Only this platform; may be given again
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<String>,
    /// Keep the release server running, to look at
    #[arg(long)]
    keep: bool,
    /// The port the release server listens on; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Serve over TLS too, for clients such as gh that speak nothing else
    #[arg(long, requires = "keep")]
    tls: bool,
    /// Release the files as they are, with uncommitted changes
    #[arg(long)]
    allow_dirty: bool,
    /// Print the final table as JSON
    #[arg(long)]
    json: bool,
    /// The source tree [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Rehearse {
    pub fn run(self) -> Result<Verdict> {
        let options = Options {
            tag: self.tag.parse()?,
            platforms: self.platforms,
            root: source::root(self.root.as_deref())?,
            allow_dirty: self.allow_dirty,
            port: self.port,
            tls: self.tls,
        };
        let (report, kept) = rehearse(&options)?;
        if self.json {
            output::print_json(&report)?;
        } else {
            output::print(format_args!("\n{report}"))?;
        }
        if self.keep {
            let server = kept.server;
            output::step(format_args!("\nAPI={}\nTOKEN={}", server.url(), kept.token));
            if let Some(lines) = server.lines_for_gh(&kept.token) {
                output::step(lines);
            }
            output::step(format_args!("the release is at {} until you press Ctrl-C", server.page()));
            server.wait();
        }
        Ok(Verdict::from_bool(report.holds()))
    }
}
