//! Starts the children, waits for them, and reports in the order of the paths.

use core::ffi::CStr;

use crate::args::MAX_JOBS;
use crate::job::{Job, Paths, Task};
use crate::json::Sink;
use crate::output::Output;
use crate::progress::Progress;
use crate::sys::{self, Ending, Phase, Slot};
use crate::verdict::{self, Outcome};

/// Libraries between the first one not reported yet and the last one started.
pub(crate) const WINDOW: usize = 64;
/// Default time for one library, in milliseconds: two that hang fit into the five seconds tsuku gives a batch.
const TIMEOUT: u32 = 2000;
/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
/// A killed child that has not ended after this long (it waits for a dead network disk, say) is left behind.
const PATIENCE: u64 = 1000 * MILLISECOND;
/// How often to see whether a child only waits.
const GLANCE: u64 = 20 * MILLISECOND;

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
    slot: Option<Slot>,
    /// In a child of its own.
    alone: bool,
    state: State,
    /// Monotonic nanoseconds: before its process was started, and when it has to be done.
    began: u64,
    deadline: u64,
    /// When its child was last glanced at, what processor time it had used by then, and whether it waited since before.
    seen: u64,
    used: u64,
    waits: bool,
}

impl Library {
    const fn new(path: &'static CStr) -> Self {
        let state = State::Suspect;
        Self { path, pid: 0, slot: None, alone: true, state, began: 0, deadline: 0, seen: 0, used: 0, waits: false }
    }
}

struct Driver {
    output: Output,
    progress: Progress,
    libraries: [Library; WINDOW],
    /// Number behind the last one started; the next one to report is `progress.answered`.
    started: usize,
    running: u32,
    jobs: u32,
    timeout: u32,
    /// Libraries that a child may serve.
    share: usize,
    lines: bool,
    /// Up to this number, one library at a time, with nothing of those before it left.
    alone_until: usize,
    /// The run's own, see [`Slot`].
    key: u64,
}

/// Does the rest of the job, and puts the answers out; the exit status, and why some were lost.
pub(crate) fn run(job: &Job, task: &Task, output: Output) -> (i32, Option<sys::Errno>) {
    let options = &job.options;
    let mut driver = Driver {
        output,
        progress: task.progress,
        libraries: [Library::new(c""); WINDOW],
        started: task.progress.answered,
        running: 0,
        jobs: options.jobs.unwrap_or_else(sys::processors),
        timeout: options.timeout.unwrap_or(TIMEOUT),
        share: if options.shared { sys::SHARE } else { 1 },
        lines: options.lines,
        alone_until: task.alone_until,
        key: sys::key(),
    };
    let mut paths = job.paths.clone();
    for _ in 0..task.progress.answered {
        paths.next();
    }
    if let Some(signal) = task.culprit
        && let Some(path) = paths.next()
    {
        let state = State::Done(Outcome::KilledDriver(signal));
        driver.libraries[driver.started % WINDOW] = Library { state, ..Library::new(path) };
        driver.started += 1;
    }
    driver.serve(paths);
    driver.finish()
}

impl Driver {
    fn serve(&mut self, mut paths: Paths) {
        if !self.lines && self.progress.answered == 0 {
            self.output.put(b"[");
        }
        let mut next = paths.next();
        while next.is_some() || self.progress.answered < self.started {
            while self.has_room() && self.start(&mut next, &mut paths) {}
            self.report();
            if self.running > 0 {
                self.wait(next.is_some());
            }
        }
    }

    fn library(&mut self, number: usize) -> &mut Library {
        &mut self.libraries[number % WINDOW]
    }

    fn is_careful(&self) -> bool {
        self.progress.answered < self.alone_until
    }

    /// True if another child may run beside those there are: what waits needs no processor.
    fn has_room(&mut self) -> bool {
        if self.is_careful() {
            return self.progress.answered == self.started;
        }
        if self.running < self.jobs || self.running >= MAX_JOBS {
            return self.running < self.jobs;
        }
        let (now, mut busy, mut before) = (sys::now(), 0, 0);
        for number in self.progress.answered..self.started {
            let library = self.library(number);
            // Those that share a child are neighbours.
            if library.pid == before || !matches!(library.state, State::Running) {
                continue;
            }
            before = library.pid;
            let passed = now - library.seen;
            if passed >= GLANCE {
                let used = sys::processor_time_asleep(library.pid);
                library.waits = used.is_some_and(|used| used - library.used < passed / 8);
                (library.seen, library.used) = (now, used.unwrap_or(0));
            }
            busy += u32::from(!library.waits);
        }
        busy < self.jobs
    }

    /// Starts a child for a suspect, or else for the next libraries; false if there is none, or it has to wait.
    fn start(&mut self, next: &mut Option<&'static CStr>, paths: &mut Paths) -> bool {
        let is_suspect = |number: &usize| matches!(self.libraries[number % WINDOW].state, State::Suspect);
        if let Some(number) = (self.progress.answered..self.started).find(is_suspect) {
            return self.launch(number, 1);
        }
        let share = if self.is_careful() { 1 } else { self.share };
        let mut count = 0;
        while count < share
            && self.started + count - self.progress.answered < WINDOW
            && let Some(path) = *next
        {
            self.libraries[(self.started + count) % WINDOW] = Library::new(path);
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
        let began = sys::now();
        let (pid, state) = match self.try_to_launch(first, count) {
            Ok(pid) => (pid, State::Running),
            Err(_) if self.running > 0 => return false,
            Err(error) => (0, State::Done(Outcome::NotStarted(error))),
        };
        self.running += u32::from(pid != 0);
        let now = sys::now();
        let deadline = now + u64::from(self.timeout) * MILLISECOND;
        for number in first..first + count {
            let library = self.library(number);
            let (alone, waits) = (count == 1, false);
            *library = Library { pid, alone, state, began, deadline, seen: now, used: 0, waits, ..*library };
        }
        true
    }

    fn try_to_launch(&mut self, first: usize, count: usize) -> Result<i32, sys::Errno> {
        let mut work = [None; sys::SHARE];
        let slots = Slot::new(self.key, count)?;
        for ((number, work), slot) in (first..first + count).zip(&mut work).zip(slots) {
            let library = self.library(number);
            // What an attempt before left in it is no answer to this one.
            if let Some(old) = library.slot.replace(slot) {
                old.release();
            }
            *work = Some((slot, library.path));
        }
        sys::start(&work[..count], self.timeout)
    }

    /// Sleeps until a child ends, a deadline passes, or there may be room for `more`, and notes what happened.
    fn wait(&mut self, more: bool) {
        let now = sys::now();
        let mut next = if more && !self.is_careful() && self.running < MAX_JOBS { GLANCE } else { u64::MAX };
        for number in self.progress.answered..self.started {
            let &mut Library { pid, state, deadline, .. } = self.library(number);
            if pid == 0 {
                continue;
            }
            if deadline > now {
                next = next.min(deadline - now);
            } else if let State::Running = state {
                sys::kill(pid);
                self.change(pid, State::Killed(Outcome::TimedOut), now + PATIENCE);
                next = next.min(PATIENCE);
            } else {
                self.settle(pid, Outcome::TimedOut);
            }
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
        let mut all = self.progress.answered..self.started;
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
                self.settle(pid, Outcome::TimedOut);
            }
            (Some(State::Running), Ending::Stopped(_)) => {
                sys::kill(pid);
                self.change(pid, State::Killed(Outcome::Ended(ending)), sys::now() + PATIENCE);
            }
            (Some(State::Running), _) => self.settle(pid, Outcome::Ended(ending)),
            (Some(State::Killed(_)), Ending::Stopped(_)) => {}
            (Some(State::Killed(outcome)), _) => self.settle(pid, outcome),
            _ => {}
        }
    }

    /// Puts all libraries of a child into another state.
    fn change(&mut self, pid: i32, state: State, deadline: u64) {
        for number in self.progress.answered..self.started {
            let library = self.library(number);
            if library.pid == pid {
                *library = Library { state, deadline, ..*library };
            }
        }
    }

    /// Takes the results of a child that has ended, or that never will.
    fn settle(&mut self, pid: i32, outcome: Outcome) {
        self.running -= 1;
        for number in self.progress.answered..self.started {
            let library = self.library(number);
            if library.pid != pid {
                continue;
            }
            library.pid = 0;
            let loaded = library.slot.is_some_and(|slot| slot.phase() == Phase::Loaded);
            library.state = if library.alone || loaded { State::Done(outcome) } else { State::Suspect };
        }
    }

    /// Writes every answer whose turn has come.
    fn report(&mut self) {
        let (before, careful) = (self.progress.answered, self.is_careful());
        while self.progress.answered < self.started {
            let Library { path, slot, state, .. } = self.libraries[self.progress.answered % WINDOW];
            let State::Done(outcome) = state else { break };
            if careful {
                // Whatever kills the driver from here on belongs to the next library.
                sys::sweep();
            }
            if !self.lines && self.progress.answered > 0 {
                self.output.put(b",");
            }
            self.progress.all_loaded &= verdict::write(&mut self.output, path, outcome, slot, self.timeout);
            self.progress.complete &= !matches!(outcome, Outcome::NotStarted(_));
            if self.lines {
                self.output.put(b"\n");
            }
            if let Some(slot) = slot {
                slot.release();
            }
            self.progress.answered += 1;
            self.output.end_answer(self.progress);
        }
        if (self.lines || careful) && self.progress.answered > before {
            self.progress.complete &= self.output.flush();
        }
    }

    fn finish(mut self) -> (i32, Option<sys::Errno>) {
        if !self.lines {
            self.output.put(b"]\n");
        }
        // First the orphans: whoever reads the end of the output may rely on it.
        sys::sweep();
        self.progress.finished = true;
        self.output.end_answer(self.progress);
        self.progress.complete &= self.output.flush();
        (self.progress.status(), self.output.lost())
    }
}
