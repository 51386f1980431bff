//! Looks after the driver: passes its answers on, and starts another one behind them if a library kills it.

use crate::driver::{self, WINDOW};
use crate::job::{Job, Task};
use crate::output::Output;
use crate::progress::Progress;
use crate::sys::{self, Channel, Ending, Errno, FRAME, Pile};
use crate::{NO_ANSWER, failure, last_words};

/// Drivers that may die one after the other without an answer between them: whoever kills so many is no library.
const DEATHS: u32 = 8;

/// Does the job; the exit status. This process, which the caller started, only waits.
pub(crate) fn run(job: &Job) -> i32 {
    if let Err(error) = sys::check_streams() {
        return failure(sys::STDERR, "standard streams", error);
    }
    match sys::descend() {
        Ok(None) => match supervise(job) {
            Ok(status) => status,
            Err((what, error)) => failure(sys::STDERR, what, error),
        },
        Ok(Some(supervisor)) => match sys::wait_for(supervisor) {
            Ending::Exit(status) => status.into(),
            Ending::Signal(signal) | Ending::Stopped(signal) => {
                let mut error = last_words(sys::STDERR);
                error.text("tsuku-dltest: the supervisor was killed by ");
                sys::signal_name(&mut error, signal);
                error.text("\n");
                error.flush();
                NO_ANSWER
            }
        },
        Err(error) => failure(sys::STDERR, "no process could be started", error),
    }
}

/// What failed, and how.
type Failure = (&'static str, Errno);

fn supervise(job: &Job) -> Result<i32, Failure> {
    sys::become_supervisor();
    let (mut task, mut deaths) = (Task::WHOLE, 0);
    loop {
        let channel = Channel::new().map_err(|error| ("the channel to the driver", error))?;
        let Some(driver) = sys::descend().map_err(|error| ("no process could be started", error))? else {
            let fd = channel.become_driver().map_err(|error| ("standard streams", error))?;
            sys::exit(driver::run(job, &task, Output::framed(fd)).0)
        };
        let mut relay = Relay { channel, part: Pile::new(), progress: task.progress, lost: None };
        let ending = relay.watch(driver);
        relay.channel.close();
        let Relay { progress, lost, .. } = relay;
        if let Some(error) = lost {
            return Err(("standard output", error));
        }
        let signal = match ending {
            Ending::Signal(signal) if !progress.finished => signal,
            _ => return Ok(if progress.finished { progress.status() } else { NO_ANSWER }),
        };
        // Nothing that was there when it died may be there when the next one tries.
        sys::sweep();
        let was_careful = progress.answered < task.alone_until;
        deaths = if progress.answered > task.progress.answered { 1 } else { deaths + 1 };
        if deaths > DEATHS {
            return Ok(NO_ANSWER);
        }
        let alone_until = if was_careful { task.alone_until } else { progress.answered + WINDOW };
        task = Task { progress, alone_until, culprit: was_careful.then_some(signal) };
    }
}

/// What came from a driver.
struct Relay {
    channel: Channel,
    /// The beginning of an answer that is larger than a frame.
    part: Pile,
    progress: Progress,
    lost: Option<Errno>,
}

impl Relay {
    /// Passes answers on until the driver has ended.
    fn watch(&mut self, driver: i32) -> Ending {
        loop {
            self.pass_on();
            match sys::ending_of(driver) {
                Some(Ending::Stopped(_)) => sys::go_on(driver),
                Some(ending) => {
                    // All that it ever sent is there now.
                    self.pass_on();
                    return ending;
                }
                None => self.channel.wait(),
            }
        }
    }

    fn pass_on(&mut self) {
        let mut frame = [0; FRAME];
        while let Some((bytes, progress)) = self.channel.receive(&mut frame).and_then(Progress::open) {
            let Some(progress) = progress else {
                self.lost = self.lost.or(self.part.append(bytes).err());
                continue;
            };
            self.progress = progress;
            if self.lost.is_none() {
                self.lost = self.channel.print(self.part.bytes()).and_then(|()| self.channel.print(bytes)).err();
            }
            self.part.clear();
        }
    }
}
