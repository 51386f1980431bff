//! What clients ask about themselves, the server and the repository's settings before they turn to releases.

use serde_json::json;

use super::call::Call;
use super::http::Response;
use super::routes::Operation;
use super::shapes::{error, not_found};
use crate::domain::releases::clock::epoch_seconds;

/// GitHub's limit on requests with a token, in an hour; counted here, not enforced.
pub(super) const RATE_LIMIT: u64 = 5000;

pub(super) fn get(call: &Call<'_>) -> Response {
    let user = call.links().user();
    match call.route.operation {
        Operation::GetUser if call.route.name.is_empty() && !call.may_push() => error(401, "Requires authentication"),
        Operation::GetUser if call.route.name.is_empty() || user["login"] == call.route.name => {
            Response::json(200, &user)
        }
        Operation::GetRateLimit => {
            let used = call.server.log.count().min(RATE_LIMIT - 1);
            let reset = epoch_seconds(call.server.clock.now()) + 3600;
            let core = json!({ "limit": RATE_LIMIT, "used": used, "remaining": RATE_LIMIT - used, "reset": reset });
            let resources = json!({ "core": core, "search": core, "graphql": core });
            Response::json(200, &json!({ "resources": resources, "rate": core }))
        }
        // GitHub answers this one only to those who administer the repository; here whoever may push does.
        Operation::CheckImmutableReleases if call.may_push() && call.server.immutable => {
            Response::json(200, &json!({ "enabled": true, "enforced_by_owner": false }))
        }
        Operation::GetMeta => Response::json(200, &json!({ "verifiable_password_authentication": false })),
        _ => not_found(),
    }
}
