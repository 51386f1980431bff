//! `draft`: one draft for a tag, however often and by however many this is run.
//!
//! GitHub makes a second draft without complaint, its lists lag, and a POST that failed may have made one. What keeps
//! this to one release: **the oldest release with the tag is the release**. Whoever makes a draft waits until the list
//! shows it; a list that shows a release shows all older ones too; so whoever made a younger one sees that, removes
//! its own empty twin and takes the older one.

use std::time::Duration;

use anyhow::{Context, Result};

use super::api::Release;
use super::client::{ATTEMPTS, Client, LAG, refuse_ambiguous};
use super::failure::{Explain, Failure};
use crate::domain::version::Tag;
use crate::plumbing::error::Hint;

/// GitHub's limit for notes, in characters.
const MAX_NOTES: usize = 125_000;

/// How a release was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was made now.
    Created,
    /// A draft was there.
    Found,
    /// It is published: nothing to make.
    Published,
}

/// The release to work on.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its number, for `upload`, `download` and `finalize`.
    pub id: u64,
    /// Its tag.
    pub tag: String,
    /// How it was found.
    pub state: State,
    /// Its page.
    pub url: String,
}

/// The notes of a new draft.
#[derive(Clone, Copy, Default)]
pub struct Notes<'a> {
    /// Those to use; without them the annotated tag's message, else what the server makes from the history.
    pub given: Option<&'a str>,
    /// What to add at the end.
    pub addition: &'a str,
}

/// Makes the draft for `tag`, or finds it.
pub fn draft(client: &Client, tag: &str, notes: &Notes<'_>) -> Result<Draft> {
    let next = format!("`release-helper draft {tag}`");
    let known =
        listed(client, tag).explain(format!("nothing was changed: cannot list the releases for {tag}"), &next)?;
    let mut state = State::Found;
    let mut known = known;
    if known.is_empty() {
        state = State::Created;
        let contents = Contents::new(client, tag, notes)?;
        known = contents.create(client).explain(format!("no draft is known to be made for {tag}"), &next)?;
    }
    let release = settle(client, tag, notes, known)?;
    if !release.draft {
        state = State::Published;
    }
    Ok(Draft { id: release.id, tag: tag.to_owned(), state, url: client.release_page(tag, &release.html_url) })
}

/// Makes sure that `release` is the only one of its tag. Empty twins that a run of `draft` left behind are removed. Gives
/// back the releases of all tags.
pub(super) fn ensure_only(client: &Client, release: &Release, state: &str, next: &str) -> Result<Vec<Release>> {
    let tag = &release.tag_name;
    let all = client.releases().explain(format!("{state}: cannot list the releases for {tag}"), next)?;
    let mut known: Vec<Release> = all.iter().filter(|other| other.tag_name == *tag).cloned().collect();
    if known.iter().all(|other| other.id != release.id) {
        // The list lags behind the release we have read by its number.
        known.push(release.clone());
    }
    let ids: Vec<u64> = known.iter().map(|release| release.id).collect();
    let notes = Notes { given: release.body.as_deref(), addition: "" };
    let only = settle(client, tag, &notes, known)?;
    if only.id != release.id {
        refuse_ambiguous(tag, &ids)?;
    }
    Ok(all)
}

/// What a draft is made of.
struct Contents<'a> {
    tag: &'a str,
    notes: String,
    prerelease: bool,
}

impl<'a> Contents<'a> {
    /// Looks the tag up: a release without an existing tag would make one at whatever commit is newest by then.
    fn new(client: &Client, tag: &'a str, notes: &Notes<'_>) -> Result<Self> {
        if tag.parse::<Tag>().is_ok_and(|tag| tag.is_dry_run()) {
            let notes = notes.given.unwrap_or("A dry run, to be looked at and deleted: nothing in it is a release.");
            return Ok(Self { tag, notes: notes.to_owned(), prerelease: true });
        }
        let next = format!("`release-helper draft {tag}`");
        let unchanged = format!("nothing was changed: cannot look up the tag {tag}");
        let found = client.tag(tag).explain(unchanged, &next)?;
        let found = found
            .with_context(|| format!("nothing was changed: the tag {tag} does not exist in {}", client.repository()))
            .hint(format!("push it with `git push origin {tag}`, then run {next} again"))?;
        let mut text = match (notes.given, found.message) {
            (Some(notes), _) => notes.to_owned(),
            (None, Some(message)) => without_signature(&message).to_owned(),
            (None, None) => client
                .generate_notes(tag)
                .explain(format!("nothing was changed: cannot make notes for {tag}"), &next)?,
        };
        let prerelease = tag.parse::<Tag>().is_ok_and(|tag| tag.is_prerelease());
        text = text.chars().take(MAX_NOTES - notes.addition.len()).collect();
        Ok(Self { tag, notes: text + notes.addition, prerelease })
    }

    /// Makes the draft and waits until it is listed; gives back all releases of the tag.
    fn create(&self, client: &Client) -> Result<Vec<Release>, Failure> {
        let mut failures = 0;
        loop {
            match client.create_draft(self.tag, &self.notes, self.prerelease) {
                Ok(release) => return listed_with(client, self.tag, release),
                Err(failure) if failure.is_unclear() => {
                    failures += 1;
                    if failures >= ATTEMPTS {
                        return Err(failure);
                    }
                    client.say(format_args!("{failure}; looking whether the draft was made"));
                    // The wait is longer than lists lag: a second draft is worse than a minute.
                    for seconds in LAG {
                        client.clock.sleep(Duration::from_secs(seconds));
                        let known = listed(client, self.tag)?;
                        if !known.is_empty() {
                            return Ok(known);
                        }
                    }
                }
                Err(failure) => {
                    failures += 1;
                    client.pause(failures, failure)?;
                }
            }
        }
    }
}

/// All releases of `tag`.
fn listed(client: &Client, tag: &str) -> Result<Vec<Release>, Failure> {
    let mut releases = client.releases()?;
    releases.retain(|release| release.tag_name == tag);
    Ok(releases)
}

/// All releases of `tag` as soon as `own` is among them.
fn listed_with(client: &Client, tag: &str, own: Release) -> Result<Vec<Release>, Failure> {
    for seconds in LAG {
        let known = listed(client, tag)?;
        // Gone means that another run of this command removed it as the younger twin.
        if known.iter().any(|release| release.id == own.id) {
            return Ok(known);
        }
        client.clock.sleep(Duration::from_secs(seconds));
    }
    let known = listed(client, tag)?;
    Ok(if known.is_empty() { vec![own] } else { known })
}

/// The one release among those of a tag: the published one, else the oldest. Younger drafts that are nothing but
/// leftovers of a run of this command are removed; anything else is left to a person.
fn settle(client: &Client, tag: &str, notes: &Notes<'_>, mut known: Vec<Release>) -> Result<Release> {
    known.sort_by_key(|release| release.id);
    let ids: Vec<u64> = known.iter().map(|release| release.id).collect();
    let position = known.iter().position(|release| !release.draft).unwrap_or(0);
    let mut others = known;
    if others.is_empty() {
        return Err(anyhow::anyhow!("the draft for {tag} is made, but not listed yet"))
            .hint(format!("run `release-helper draft {tag}` again in a minute"));
    }
    let release = others.remove(position);
    if others.is_empty() {
        return Ok(release);
    }
    if others.iter().any(|other| other.id < release.id) {
        refuse_ambiguous(tag, &ids)?;
    }
    let contents = Contents::new(client, tag, notes)?;
    let next = format!("`release-helper draft {tag}`");
    for other in others {
        let state = format!("the releases {ids:?} all have the tag {tag}");
        // What the list says about it may be old: ask for the release itself.
        let other = match client.release_now(other.id) {
            Err(failure) if failure.is_status(404) => continue,
            fresh => fresh.explain(&state, &next)?,
        };
        let is_leftover = other.draft
            && other.assets.is_empty()
            && other.name.as_deref() == Some(tag)
            && other.body.as_deref() == Some(&contents.notes);
        if !is_leftover {
            refuse_ambiguous(tag, &ids)?;
        }
        client.say(format_args!("removing the empty draft {}: the release for {tag} is {}", other.id, release.id));
        client.delete_release(other.id).explain(&state, &next)?;
    }
    Ok(release)
}

/// A tag's message without the signature that git keeps at its end.
fn without_signature(message: &str) -> &str {
    let end = ["-----BEGIN PGP SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"]
        .iter()
        .filter_map(|start| message.find(start))
        .min();
    message[..end.unwrap_or(message.len())].trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_leave_out_the_signature_of_the_tag() {
        assert_eq!(without_signature("Notes\n\n-----BEGIN PGP SIGNATURE-----\nabc"), "Notes");
        assert_eq!(without_signature("Notes\n"), "Notes");
    }
}
