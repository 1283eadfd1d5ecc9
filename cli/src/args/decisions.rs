//! Commands by which people decide: classes, holds, erasures, alarms.

use super::parts::{Change, Data, Why, help};
use crate::value::{When, day, exact, received};
use clap::{Args as ClapArgs, Subcommand};
use sexton_proof::window::Span;
use std::path::PathBuf;

/// What about classes.
#[derive(Debug, Subcommand)]
pub(crate) enum ClassCommand {
    /// Reads a class file and says what each class promises, or why it is refused
    Check(ClassCheckArgs),
    /// Shows the classes of a data folder
    List(ClassListArgs),
    /// Defines classes, or new versions of them
    ///
    /// Defines the classes of a file. One that differs from the stored one becomes a new version; objects that are
    /// registered keep the bounds that they were promised, until `class apply`.
    Set(ClassSetArgs),
    /// Applies the newest version of a class to what was registered under earlier ones
    Apply(ClassApplyArgs),
    /// Closes down a class or everything: it takes nothing more, and what lives in it goes
    ///
    /// Closes down a class, or everything. It takes no objects any more, and what lives in it goes with a slot's
    /// notice, at its floor, or when no legal hold covers it any more.
    Close(ClassCloseArgs),
}

/// Which file.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton class check classes.toml"))]
pub(crate) struct ClassCheckArgs {
    /// The class file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// JSON on stdout instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Of which engine.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton class list /var/lib/sexton"))]
pub(crate) struct ClassListArgs {
    #[command(flatten)]
    pub(crate) data: Data,
}

/// Which definitions.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton class set /var/lib/sexton classes.toml --dry-run", in steps))]
pub(crate) struct ClassSetArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// The class file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Which class.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton class apply /var/lib/sexton data-30d --reason 'new policy' --author 'Ada Lovelace'"
))]
pub(crate) struct ClassApplyArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// The class
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) why: Why,
}

/// What is closed down.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton class close /var/lib/sexton upload-3h --reason 'the service ends' --author 'Ada Lovelace'"
))]
pub(crate) struct ClassCloseArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// The class
    #[arg(value_name = "NAME", required_unless_present = "everything", conflicts_with = "everything")]
    pub(crate) name: Option<String>,
    /// Every class
    #[arg(long)]
    pub(crate) everything: bool,
    #[command(flatten)]
    pub(crate) why: Why,
}

/// What about holds.
#[derive(Debug, Subcommand)]
pub(crate) enum HoldCommand {
    /// Places a legal hold: what it covers, now and later, is not deleted until it is lifted
    ///
    /// Places a legal hold: what it covers, now and later, is not deleted until it is lifted. It does not keep the host
    /// from overwriting or deleting an object itself. What a hold says (name, reason, what it covers) is kept for ever,
    /// also when it was lifted: name a case rather than a person.
    Place(HoldPlaceArgs),
    /// Lifts a legal hold
    ///
    /// Lifts a legal hold. What it kept past its ceiling goes when the grace has passed, what is still in its window
    /// goes in time; what an event hold covered counts from now on.
    Lift(HoldLiftArgs),
    /// Shows the legal holds that stand
    List(HoldListArgs),
}

/// What is held, and why.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton hold place /var/lib/sexton --name 'case 7' --subject anna --reason 'court order 7/26' \\\n    \
     --author 'Ada Lovelace' --review 2027-01-31",
    "the hold stands, but some of what it covers was on its way to deletion already, and is listed"
))]
pub(crate) struct HoldPlaceArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// By which it will be lifted
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) covers: Covers,
    /// Keys, prefix and subject are hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
    /// Restart the clock of what it covers when it is lifted
    #[arg(long)]
    pub(crate) event: bool,
    #[command(flatten)]
    pub(crate) why: Why,
    /// The day on which somebody looks whether it is still needed; it does not end then by itself
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub(crate) review: i64,
}

/// What a hold covers.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Covers {
    /// The object with this key; may be given many times
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// Every object whose key begins so
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// Everything of this subject
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// Everything in this class
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Option<String>,
}

/// Which hold.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton hold lift /var/lib/sexton 'case 7' --reason 'case closed' --author 'Ada Lovelace' --grace 7d"
))]
pub(crate) struct HoldLiftArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// The hold
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) why: Why,
    /// How long what it kept past its ceiling is still left alone: s, m, h, d, w, or 0
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = exact)]
    pub(crate) grace: i64,
}

/// Which holds.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton hold list /var/lib/sexton --all"))]
pub(crate) struct HoldListArgs {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Lifted ones too
    #[arg(long)]
    pub(crate) all: bool,
}

/// What about erasures.
#[derive(Debug, Subcommand)]
pub(crate) enum EraseCommand {
    /// Takes a request for erasure
    ///
    /// Takes a request for erasure. When it can no longer be cancelled, its objects are looked for at the next
    /// enforcement, and each goes as soon as its floor allows and no legal hold covers it. A subject of whom nothing
    /// is stored is refused, which takes reading everything.
    Request(EraseRequestArgs),
    /// Cancels an erasure that may still be cancelled
    #[command(after_long_help = help!("sexton erase cancel /var/lib/sexton 3"))]
    Cancel(EraseNumberArgs),
    /// Shows the erasures, and what is answered already
    List(EraseListArgs),
    /// Writes a receipt for each object of an erasure that ended
    ///
    /// Writes a receipt for each object of an erasure that ended, and the policy to verify them with. For objects of
    /// a class with `openings = "ticket"` only the holder of the ticket can make one; they are named.
    Receipts(EraseReceiptsArgs),
    /// Forgets a request that is over, and with it whose it was and which objects it concerned
    ///
    /// Forgets a request that is over, and with it whose it was and which objects it concerned. What holds say of the
    /// same objects stays.
    #[command(after_long_help = help!("sexton erase forget /var/lib/sexton 3"))]
    Forget(EraseNumberArgs),
}

/// Whose or what, and until when.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton erase request /var/lib/sexton --subject anna --within 15wd --holidays cn.txt --cancellable 15d \\\n    \
     --reason 'account closed' --author 'Ada Lovelace'"
))]
pub(crate) struct EraseRequestArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    #[command(flatten)]
    pub(crate) whose: Whose,
    /// Subject and keys are hexadecimal
    #[arg(long)]
    pub(crate) hex: bool,
    /// When it was received: RFC 3339, or now
    #[arg(long, value_name = "WHEN", default_value = "now", value_parser = received)]
    pub(crate) received: When,
    /// Within what time from then it is to be answered, in UTC: s, m, h, d, w, mo, y, or wd for working days
    #[arg(long, value_name = "SPAN")]
    pub(crate) within: Option<Span>,
    /// The days on which nobody works: one YYYY-MM-DD in each line; +YYYY-MM-DD is a weekend day on which people do
    #[arg(long, value_name = "FILE", requires = "within")]
    pub(crate) holidays: Option<PathBuf>,
    /// How long it can be cancelled; nothing is erased before: s, m, h, d, w, or 0
    #[arg(long, value_name = "SPAN", default_value = "0", value_parser = exact)]
    pub(crate) cancellable: i64,
    /// At once, as the data of minors are: it cannot be cancelled, and is to be answered within a second
    #[arg(long, conflicts_with_all = ["cancellable", "within"])]
    pub(crate) immediate: bool,
    #[command(flatten)]
    pub(crate) why: Why,
}

/// Whose or which objects.
#[derive(Debug, ClapArgs)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// Everything of this subject
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// The object with this key; may be given many times
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// A file with one key in each line
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
}

/// Which request.
#[derive(Debug, ClapArgs)]
pub(crate) struct EraseNumberArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// Its number
    #[arg(value_name = "N")]
    pub(crate) number: u32,
}

/// Which requests.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton erase list /var/lib/sexton --items 3"))]
pub(crate) struct EraseListArgs {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The objects of this request, each with what it waits for or how it ended
    #[arg(long, value_name = "N")]
    pub(crate) items: Option<u32>,
    /// What else was requested too: closing down, applied classes, lifted holds
    #[arg(long, conflicts_with = "items")]
    pub(crate) all: bool,
}

/// Which request, and where to.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton erase receipts /var/lib/sexton 3 --out receipts-3",
    "for some objects that ended no receipt could be made; they are listed with the reason",
    in steps
))]
pub(crate) struct EraseReceiptsArgs {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Its number
    #[arg(value_name = "N")]
    pub(crate) number: u32,
    /// The folder for the receipts; made where it is missing
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

/// Which alarms.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton resume /var/lib/sexton 3f --reason 'a new disk, nothing is wrong' --author 'Ada Lovelace'",
    in steps
))]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) change: Change,
    /// How the alarm's id begins
    #[arg(value_name = "ALARM")]
    pub(crate) alarm: Option<String>,
    /// Every alarm that stands
    #[arg(long, conflicts_with = "alarm")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) why: Why,
}
