//! GraphQL: what gh may ask, and how everything else is refused.

use release_helper::domain::server::{Plan, Running};
use serde_json::{Value, json};

use crate::common::{Place, REPOSITORY, TAG, token};

/// The answer to a query, with the token.
fn ask(server: &Running, query: &str, variables: &Value) -> Value {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let mut request = ureq::post(format!("{}/graphql", server.url())).config().http_status_as_error(false).build();
    request = request.header("authorization", format!("Bearer {}", token()));
    let bytes = request.send(body).unwrap().body_mut().read_to_vec().unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// A repository with a published release and two drafts.
fn server(place: &Place) -> Running {
    let server = place.server(Plan::default());
    place.release(&place.client(&server)).unwrap();
    for tag in ["v2.0.0", "v3.0.0"] {
        place.raw(&server, "POST", "/releases", &json!({ "tag_name": tag, "draft": true }).to_string());
    }
    server
}

/// The selection of all fields of a type, objects within it by one field.
fn all_fields(server: &Running, kind: &str) -> Vec<String> {
    let found =
        ask(server, "query($kind: String!) { __type(name: $kind) { name fields { name } } }", &json!({ "kind": kind }));
    let fields = found["data"]["__type"]["fields"].as_array().unwrap_or_else(|| panic!("{kind}: {found}"));
    fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_field_that_introspection_names_can_be_asked_for() {
    let place = Place::new();
    let server = server(&place);
    let within = |field: &str| match field {
        "repository" => "(owner: \"octo\", name: \"tsuku-dltest\") { id }",
        "release" => "(tagName: \"v1.2.3\") { id }",
        "ref" => "(qualifiedName: \"refs/tags/v1.2.3\") { id }",
        "refs" => "(refPrefix: \"refs/tags/\", first: 1) { totalCount }",
        "releases" | "releaseAssets" => "(first: 1) { totalCount }",
        "owner" | "author" | "viewer" | "uploadedBy" | "defaultBranchRef" | "latestRelease" | "tag" | "tagCommit"
        | "target" => " { id }",
        "nodes" => " { __typename }",
        "pageInfo" => " { hasNextPage }",
        "rateLimit" => " { limit }",
        _ => "",
    };
    let repository = |inner: &str| format!("repository(owner: \"octo\", name: \"tsuku-dltest\") {{ {inner} }}");
    let release = |inner: &str| repository(&format!("release(tagName: \"v1.2.3\") {{ {inner} }}"));
    type Wrap<'a> = Box<dyn Fn(&str) -> String + 'a>;
    let types: [(&str, Wrap<'_>); 12] = [
        ("Query", Box::new(|inner| inner.to_owned())),
        ("Repository", Box::new(repository)),
        ("ReleaseConnection", Box::new(|inner| repository(&format!("releases(first: 2) {{ {inner} }}")))),
        ("Release", Box::new(release)),
        ("ReleaseAssetConnection", Box::new(|inner| release(&format!("releaseAssets(first: 2) {{ {inner} }}")))),
        ("ReleaseAsset", Box::new(|inner| release(&format!("releaseAssets(first: 2) {{ nodes {{ {inner} }} }}")))),
        (
            "RefConnection",
            Box::new(|inner| repository(&format!("refs(refPrefix: \"refs/tags/\", first: 2) {{ {inner} }}"))),
        ),
        ("Ref", Box::new(|inner| release(&format!("tag {{ {inner} }}")))),
        ("Commit", Box::new(|inner| release(&format!("tagCommit {{ {inner} }}")))),
        ("User", Box::new(|inner| format!("viewer {{ {inner} }}"))),
        ("PageInfo", Box::new(|inner| repository(&format!("releases(first: 2) {{ pageInfo {{ {inner} }} }}")))),
        ("RateLimit", Box::new(|inner| format!("rateLimit {{ {inner} }}"))),
    ];
    for (kind, wrap) in types {
        for field in all_fields(&server, kind) {
            let query = format!("{{ {} }}", wrap(&format!("it: {field}{}", within(&field))));
            let answer = ask(&server, &query, &json!({}));
            assert!(answer["errors"].is_null() && answer.to_string().contains("\"it\":"), "{kind}.{field}: {answer}");
            // Of a field that is not there nothing is known.
            assert!(
                !ask(&server, &query.replace(&field, "nonsense"), &json!({}))["errors"].is_null(),
                "{kind}.{field}"
            );
        }
    }
}

#[test]
fn aliases_fragments_directives_and_variables_are_those_of_the_language() {
    let place = Place::new();
    let server = server(&place);
    let query = "
        query Page($owner: String!, $name: String!, $after: String, $size: Int = 2, $withUrl: Boolean!) {
          repository(owner: $owner, name: $name) {
            releases(first: $size, after: $after, orderBy: {field: CREATED_AT, direction: DESC}) {
              ...page
              nodes { id: databaseId ... on Release { tagName } ... on User { login } url @include(if: $withUrl) }
            }
            nothing: release(tagName: \"v9.9.9\") { name @skip(if: true) __typename }
          }
        }
        fragment page on ReleaseConnection { totalCount pageInfo { hasNextPage endCursor } }";
    let (owner, name) = REPOSITORY.split_once('/').unwrap();
    let mut variables = json!({ "owner": owner, "name": name, "withUrl": false });
    let first = ask(&server, query, &variables)["data"]["repository"].clone();
    let tags = |page: &Value| -> Vec<String> {
        let nodes = page["releases"]["nodes"].as_array().unwrap();
        assert!(nodes.iter().all(|node| node["url"].is_null() && node["login"].is_null() && node["id"].is_u64()));
        nodes.iter().map(|node| node["tagName"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((tags(&first), &first["releases"]["totalCount"]), (vec!["v3.0.0".into(), "v2.0.0".into()], &json!(3)));
    assert_eq!(first["nothing"], Value::Null);
    assert_eq!(first["releases"]["pageInfo"]["hasNextPage"], true);
    variables["after"] = first["releases"]["pageInfo"]["endCursor"].clone();
    let second = ask(&server, query, &variables)["data"]["repository"].clone();
    assert_eq!((tags(&second), &second["releases"]["pageInfo"]["hasNextPage"]), (vec![TAG.into()], &json!(false)));
}

#[test]
fn what_cannot_be_answered_is_refused_in_the_form_of_graphql_and_answers_nothing() {
    let place = Place::new();
    let server = server(&place);
    let deep = format!("{}viewer{{id}}{}", "{a".repeat(5000), "}".repeat(5000));
    for (query, words) in [
        ("{ viewer { shoeSize } }", "Field 'shoeSize' doesn't exist on type 'User'"),
        ("{ viewer }", "must have selections"),
        ("{ viewer { login { name } } }", "Selections can't be made on scalars"),
        ("{ repository(owner: \"o\") { id } }", "missing required arguments: name"),
        ("{ viewer(of: 1) { id } }", "doesn't accept argument 'of'"),
        ("{ viewer { ...missing } }", "Fragment missing was used, but not defined"),
        ("{ viewer { ...f } } fragment f on User { ...f }", "infinite loop"),
        ("{ viewer { id @sometimes } }", "Directive @sometimes"),
        ("query($a: Int!) { viewer { id } }", "Variable $a of type Int!"),
        ("{ viewer { id(x: $b) } }", "Variable $b is used"),
        ("mutation { deleteRef(input: {refId: \"x\"}) { clientMutationId } }", "doesn't exist on type 'Mutation'"),
        ("query A { viewer { id } } query B { viewer { id } }", "An operation name is required"),
        ("{ viewer { id }", "query parse error"),
        ("", "query parse error"),
        (&deep, ""),
    ] {
        let answer = ask(&server, query, &json!({}));
        let message = answer["errors"][0]["message"].as_str().unwrap_or_else(|| panic!("{query}: {answer}"));
        assert!(message.contains(words) && answer["data"].is_null(), "{query}: {answer}");
    }
    // What is only not there leaves the rest.
    let answer = ask(&server, "{ viewer { login } repository(owner: \"o\", name: \"x\") { id } }", &json!({}));
    assert_eq!((&answer["errors"][0]["type"], &answer["data"]["repository"]), (&json!("NOT_FOUND"), &Value::Null));
    assert!(answer["data"]["viewer"]["login"].is_string());
    for (first, kind) in [("", "MISSING_PAGINATION_BOUNDARIES"), ("(first: 101)", "EXCESSIVE_PAGINATION")] {
        let query =
            format!("{{ repository(owner: \"octo\", name: \"tsuku-dltest\") {{ releases{first} {{ totalCount }} }} }}");
        assert_eq!(ask(&server, &query, &json!({}))["errors"][0]["type"], kind);
    }
}

#[test]
fn a_draft_is_for_those_who_may_push() {
    let place = Place::new();
    let server = server(&place);
    let body = json!({ "query": "{ viewer { id } }" }).to_string();
    let mut anonymous = ureq::post(format!("{}/graphql", server.url()))
        .config()
        .http_status_as_error(false)
        .build()
        .send(&body)
        .unwrap();
    assert_eq!(anonymous.status(), 401);
    assert!(anonymous.body_mut().read_to_string().unwrap().contains("requires you to be authenticated"));
}
