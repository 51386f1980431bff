//! Starts the children, waits for them, and reports in the order of the paths.

use core::ffi::CStr;

use crate::args::{Options, Word, Words};
use crate::json::{self, Sink};
use crate::output::Output;
use crate::sys::{self, Arguments, Ending, Errno, Phase, Slots, Streams};
use crate::{NO_ANSWER, describe, failure};

/// Libraries between the first one not reported yet and the last one started. One slot for each.
const WINDOW: usize = Slots::COUNT;
/// Default time for one library, in milliseconds: two that hang fit into the five seconds tsuku gives a batch.
const TIMEOUT: u32 = 2000;
/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
/// A killed child that has not ended after this long (it waits for a dead network disk, say) is left behind.
const PATIENCE: u64 = 1000 * MILLISECOND;

/// How a library's child ended.
#[derive(Clone, Copy)]
enum Outcome {
    /// By itself, or by a signal or stop: its phase says in the midst of what.
    Ended(Ending),
    /// Killed by us at its deadline.
    TimedOut,
    /// It never began.
    NotStarted(Errno),
}

#[derive(Clone, Copy)]
enum State {
    /// A child that it shared with others did not say that it loads: it has to be asked alone.
    Suspect,
    /// Until the deadline.
    Running,
    /// Killed by us, for a reason; not gone yet.
    Killed(Outcome),
    Done(Outcome),
}

#[derive(Clone, Copy)]
struct Library {
    path: &'static CStr,
    pid: i32,
    slot: u8,
    /// In a child of its own.
    alone: bool,
    /// In a child that was killed and did not end.
    lost: bool,
    state: State,
    /// Monotonic nanoseconds: before its process was started, and when it has to be done.
    began: u64,
    deadline: u64,
}

struct Driver {
    streams: Streams,
    slots: Slots,
    libraries: [Library; WINDOW],
    /// Numbers of the next library to report and the next one to start.
    reported: usize,
    started: usize,
    running: u32,
    /// One bit for each slot.
    free: u64,
    timeout: u32,
    /// Libraries that a child may serve.
    share: usize,
    lines: bool,
    all_loaded: bool,
    complete: bool,
    output: Output,
}

/// Loads what the command line asks for; the exit status.
pub(crate) fn run(options: Options, arguments: Arguments) -> i32 {
    let list = match options.stdin.then(sys::read_stdin).transpose() {
        Ok(list) => list,
        Err(error) => return failure(sys::STDERR, "standard input", error),
    };
    let slots = match Slots::new() {
        Ok(slots) => slots,
        Err(error) => return failure(sys::STDERR, "shared memory", error),
    };
    let streams = match sys::take_over() {
        Ok(streams) => streams,
        Err(error) => return failure(sys::STDERR, "standard streams", error),
    };
    let jobs = options.jobs.unwrap_or_else(sys::processors);
    let nothing =
        Library { path: c"", pid: 0, slot: 0, alone: true, lost: false, state: State::Running, began: 0, deadline: 0 };
    let mut driver = Driver {
        output: Output::new(streams.out),
        streams,
        slots,
        libraries: [nothing; WINDOW],
        reported: 0,
        started: 0,
        running: 0,
        free: u64::MAX,
        timeout: options.timeout.unwrap_or(TIMEOUT),
        share: if options.shared { sys::SHARE } else { 1 },
        lines: options.lines,
        all_loaded: true,
        complete: true,
    };
    match list {
        Some(list) => driver.serve(list.paths(), jobs),
        None => {
            let path = |word| if let Word::Path(path) = word { Some(path) } else { None };
            driver.serve(Words::new(arguments).filter_map(path), jobs);
        }
    }
    driver.finish()
}

impl Driver {
    fn serve(&mut self, mut paths: impl Iterator<Item = &'static CStr>, jobs: u32) {
        if !self.lines {
            self.output.put(b"[");
        }
        let mut next = paths.next();
        while next.is_some() || self.reported < self.started {
            while self.running < jobs && self.start(&mut next, &mut paths) {}
            self.report();
            if self.running > 0 {
                self.wait();
            }
        }
    }

    /// Starts a child for a suspect, or else for the next libraries; false if there is none, or it has to wait.
    fn start(&mut self, next: &mut Option<&'static CStr>, paths: &mut impl Iterator<Item = &'static CStr>) -> bool {
        let is_suspect = |number: &usize| matches!(self.libraries[number % WINDOW].state, State::Suspect);
        if let Some(number) = (self.reported..self.started).find(is_suspect) {
            return self.launch(number, 1);
        }
        let mut count = 0;
        while count < self.share
            && self.started + count - self.reported < WINDOW
            && let Some(path) = *next
        {
            let slot = self.free.trailing_zeros() as u8;
            if usize::from(slot) == WINDOW {
                break;
            }
            self.free &= !(1 << slot);
            self.libraries[(self.started + count) % WINDOW] =
                Library { path, pid: 0, slot, alone: true, lost: false, state: State::Suspect, began: 0, deadline: 0 };
            *next = paths.next();
            count += 1;
        }
        // Those that cannot begin now are suspects already, and begin alone.
        let first = self.started;
        self.started += count;
        count > 0 && self.launch(first, count)
    }

    /// Starts one child for `count` libraries from number `first` on; false if that has to wait.
    fn launch(&mut self, first: usize, count: usize) -> bool {
        let mut work = [(0, c""); sys::SHARE];
        for (number, work) in (first..first + count).zip(&mut work) {
            let library = &self.libraries[number % WINDOW];
            self.slots.arm(library.slot.into());
            *work = (library.slot.into(), library.path);
        }
        let began = sys::now();
        let (pid, state) = match sys::start(&self.slots, &work[..count], &self.streams, self.timeout) {
            Ok(pid) => (pid, State::Running),
            Err(_) if self.running > 0 => return false,
            Err(error) => (0, State::Done(Outcome::NotStarted(error))),
        };
        self.running += u32::from(pid != 0);
        let deadline = sys::now() + u64::from(self.timeout) * MILLISECOND;
        for number in first..first + count {
            let library = &mut self.libraries[number % WINDOW];
            *library = Library { pid, alone: count == 1, state, began, deadline, ..*library };
        }
        true
    }

    /// Sleeps until a child ends or a deadline passes, and notes what happened.
    fn wait(&mut self) {
        let now = sys::now();
        let mut next = u64::MAX;
        for number in self.reported..self.started {
            let library = self.libraries[number % WINDOW];
            let late = library.deadline <= now;
            match library.state {
                State::Done(_) | State::Suspect => continue,
                State::Running if late => {
                    sys::kill(library.pid);
                    self.change(library.pid, State::Killed(Outcome::TimedOut), now + PATIENCE);
                }
                State::Killed(_) if late => {
                    self.settle(library.pid, Outcome::TimedOut, true);
                    continue;
                }
                _ => {}
            }
            next = next.min(self.libraries[number % WINDOW].deadline - now);
        }
        if self.running == 0 {
            return;
        }
        sys::sleep(next);
        while self.running > 0
            && let Some((pid, ending)) = sys::next_ending()
        {
            self.note(pid, ending);
        }
    }

    fn note(&mut self, pid: i32, ending: Ending) {
        let mut all = self.reported..self.started;
        // Any other process is one that a library left behind and that came to us.
        let found = all.find_map(|number| {
            let library = &self.libraries[number % WINDOW];
            (library.pid == pid).then_some((library.state, library.began))
        });
        let (state, began) = found.unzip();
        let time = u64::from(self.timeout) * MILLISECOND;
        match (state, ending) {
            // Its own timer was faster than this process, which may have been stopped.
            (Some(State::Running), Ending::Signal(sys::SIGALRM)) if began < sys::now().checked_sub(time) => {
                self.settle(pid, Outcome::TimedOut, false);
            }
            (Some(State::Running), Ending::Stopped(_)) => {
                sys::kill(pid);
                self.change(pid, State::Killed(Outcome::Ended(ending)), sys::now() + PATIENCE);
            }
            (Some(State::Running), _) => self.settle(pid, Outcome::Ended(ending), false),
            (Some(State::Killed(_)), Ending::Stopped(_)) => {}
            (Some(State::Killed(outcome)), _) => self.settle(pid, outcome, false),
            _ => {}
        }
    }

    /// Puts all libraries of a child into another state.
    fn change(&mut self, pid: i32, state: State, deadline: u64) {
        for number in self.reported..self.started {
            let library = &mut self.libraries[number % WINDOW];
            if library.pid == pid {
                *library = Library { state, deadline, ..*library };
            }
        }
    }

    /// Takes the results of a child that has ended, or that is `lost` because it does not.
    fn settle(&mut self, pid: i32, outcome: Outcome, lost: bool) {
        self.running -= 1;
        for number in self.reported..self.started {
            let slots = &self.slots;
            let library = &mut self.libraries[number % WINDOW];
            if library.pid != pid {
                continue;
            }
            library.pid = 0;
            library.state = if library.alone || slots.phase(library.slot.into()) == Phase::Loaded {
                State::Done(outcome)
            } else {
                State::Suspect
            };
            // The slot of a lost child is not free again: it may still write to it.
            library.lost = lost;
        }
    }

    /// Writes every answer whose turn has come.
    fn report(&mut self) {
        let before = self.reported;
        while self.reported < self.started {
            let library = self.libraries[self.reported % WINDOW];
            let State::Done(outcome) = library.state else { break };
            self.answer(&library, outcome);
            if !library.lost {
                self.free |= 1 << library.slot;
            }
            self.reported += 1;
        }
        if self.lines && self.reported > before {
            self.complete &= self.output.flush();
        }
    }

    fn answer(&mut self, library: &Library, outcome: Outcome) {
        let output = &mut self.output;
        if !self.lines && self.reported > 0 {
            output.put(b",");
        }
        output.put(b"{\"path\":");
        json::string(output, library.path.to_bytes());
        let phase = match outcome {
            Outcome::NotStarted(_) => Phase::Loading,
            _ => self.slots.phase(library.slot.into()),
        };
        match (outcome, phase) {
            (Outcome::NotStarted(_), _) => self.complete = false,
            (_, Phase::Loaded) => {
                output.put(b",\"ok\":true}");
                return self.end_line();
            }
            _ => {}
        }
        self.all_loaded = false;
        output.put(b",\"ok\":false,\"error\":\"");
        match (outcome, phase) {
            (Outcome::NotStarted(error), _) => {
                output.put(b"no process could be started: ");
                error.describe(output);
            }
            (_, Phase::Failed) => self.slots.text(library.slot.into(), |text| json::text(output, text)),
            (outcome, phase) => {
                match outcome {
                    Outcome::Ended(Ending::Exit(status)) => {
                        output.put(b"exited with status ");
                        json::decimal(output, status.into());
                    }
                    Outcome::Ended(Ending::Signal(signal)) => {
                        output.put(b"killed by ");
                        sys::signal_name(output, signal);
                    }
                    Outcome::Ended(Ending::Stopped(signal)) => {
                        output.put(b"stopped by ");
                        sys::signal_name(output, signal);
                    }
                    _ => {
                        output.put(b"timed out after ");
                        json::decimal(output, self.timeout);
                        output.put(b" ms");
                    }
                }
                output.put(match phase {
                    Phase::Loading => b" while loading",
                    Phase::Unloading => b" while unloading",
                    _ => b" after it overwrote its result",
                });
                if let Outcome::Ended(Ending::Signal(signal)) = outcome {
                    output.put(describe::death(signal).as_bytes());
                }
            }
        }
        output.put(b"\"}");
        self.end_line();
    }

    fn end_line(&mut self) {
        if self.lines {
            self.output.put(b"\n");
        }
    }

    fn finish(mut self) -> i32 {
        if !self.lines {
            self.output.put(b"]\n");
        }
        // First the orphans: whoever reads the end of the output may rely on it.
        sys::sweep();
        if !self.output.flush() {
            return NO_ANSWER;
        }
        match (self.complete, self.all_loaded) {
            (false, _) => NO_ANSWER,
            (true, all) => i32::from(!all),
        }
    }
}
