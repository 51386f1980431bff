//! Ctrl-C at every step leaves no half-written file, and the next run works.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::checkout::Checkout;

#[test]
fn an_interrupt_at_any_step_leaves_nothing_behind() {
    let checkout = Checkout::new("interrupted");
    for step in ["version", "draft", "build", "inspect", "upload", "test", "finalize"] {
        let mut child =
            checkout.helper(&["rehearse", "--platform", "linux-amd64"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        // Each line announces what is done; what is interrupted is the step behind it.
        let seen = said.by_ref().map(Result::unwrap).find(|line| line.trim_start().starts_with(step));
        assert!(seen.is_some(), "no step {step}");
        let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let rest: Vec<String> = said.map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(130), "after {step}: {rest:?}");
        checkout.assert_no_traces();
    }
    let output = checkout.helper(&["rehearse", "--platform", "linux-amd64"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    checkout.assert_no_traces();
}
