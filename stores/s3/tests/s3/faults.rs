//! Faults between store and server: lost answers, a server that is busy, down, or not the right one.

use crate::bucket::{Bucket, With, delete, delete_one, listed, object};
use crate::proxy::{Action, Request};
use crate::server::Server;
use sexton::store::Answer;
use sexton_s3::{Error, Position, S3Store, Version};
use std::time::Duration;

/// Treats the first `count` requests that `matches` finds by an action, and passes the rest on.
fn first(
    count: usize,
    action: Action,
    matches: impl Fn(&Request) -> bool + Send + 'static,
) -> impl FnMut(&Request) -> Action + Send + 'static {
    let mut left = count;
    move |request| {
        if left == 0 || !matches(request) {
            return Action::Pass;
        }
        left -= 1;
        action.clone()
    }
}

fn filled(server: &'static Server, count: usize) -> (Bucket, Vec<(String, Version)>) {
    let bucket = Bucket::new(server, With::Versioning);
    let objects = bucket.put_all((0..count).map(|number| format!("{number:04}")));
    bucket.put("kept");
    (bucket, objects)
}

fn failed(answers: &[Answer]) -> bool {
    answers.iter().all(|answer| matches!(answer, Answer::Failed(_)))
}

pub(crate) fn lost_answer_of_a_bulk_deletion_is_asked_again(server: &'static Server) {
    let (bucket, objects) = filled(server, 120);
    let (store, proxy) = bucket.open_through(|_| {});
    proxy.set(first(2, Action::LoseAnswer, Request::is_bulk_deletion));
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Requested));
    assert_eq!(proxy.seen().iter().filter(|request| request.is_bulk_deletion()).count(), 5);
    assert_eq!(bucket.everything().len(), 1);
}

/// The first attempt deleted the object. The second one meets none, which is all that is known.
pub(crate) fn lost_answer_of_a_conditional_deletion_is_absent(server: &'static Server) {
    let bucket = Bucket::new(server, With::Nothing);
    bucket.put("a");
    let version = bucket.under("a").pop().unwrap();
    let (store, proxy) = bucket.open_through(|_| {});
    proxy.set(first(1, Action::LoseAnswer, Request::is_deletion));
    let answer = delete_one(&store, "a", &version);
    assert!(matches!(answer, Answer::Absent | Answer::Deleted), "{answer:?}");
    assert_eq!(bucket.everything(), []);
}

/// The server dies while some deletions are carried out and others are not, and comes back.
pub(crate) fn server_that_dies_in_a_bulk_deletion_loses_nothing(server: &'static Server) {
    let (bucket, objects) = filled(server, 400);
    let (store, proxy) = bucket.open_through(|options| options.retry_for = Duration::from_secs(1));
    let mut deletions = 0;
    proxy.set(move |request| {
        deletions += usize::from(request.is_bulk_deletion());
        match deletions {
            0..=2 => Action::Pass,
            3 => Action::LoseAnswer,
            _ => Action::Drop,
        }
    });
    let answers = delete(&store, &objects);
    let requested = answers.iter().filter(|answer| **answer == Answer::Requested).count();
    assert!(
        answers.iter().all(|answer| matches!(answer, Answer::Requested | Answer::Failed(_))),
        "{answers:?}"
    );
    let left = bucket.everything().len() - 1;
    assert!(requested <= objects.len() - left, "{requested} are called deleted and {left} are left");
    assert!(left > 0 && requested < objects.len());
    proxy.set(|_| Action::Pass);
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Requested));
    assert_eq!(bucket.everything().len(), 1);
}

pub(crate) fn storm_of_503_is_waited_out(server: &'static Server) {
    let (bucket, objects) = filled(server, 200);
    let (store, proxy) = bucket.open_through(|_| {});
    let slow = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
    proxy.set(first(4, Action::Answer(503, "retry-after: 1\r\n", slow), Request::is_bulk_deletion));
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Requested));
    let seen = proxy.seen().iter().filter(|request| request.is_bulk_deletion()).count();
    assert_eq!(seen, 8, "the requests wait as long as the server asks");
    assert_eq!(bucket.everything().len(), 1);
}

pub(crate) fn endless_storm_fails_and_deletes_nothing(server: &'static Server) {
    let (bucket, objects) = filled(server, 60);
    let (store, proxy) = bucket.open_through(|options| options.retry_for = Duration::from_secs(2));
    for headers in ["", "retry-after: 3600\r\n"] {
        proxy.set(move |request| match request.is_deletion() {
            true => Action::Answer(503, headers, ""),
            false => Action::Pass,
        });
        let answers = delete(&store, &objects);
        assert!(failed(&answers), "{answers:?}");
        let seen = proxy.seen().iter().filter(|request| request.is_deletion()).count();
        assert!((1..=12).contains(&seen), "{seen} requests");
        assert_eq!(bucket.everything().len(), 61);
    }
    // The pause that the server asked for holds for everything.
    proxy.set(|_| Action::Pass);
    assert!(failed(&delete(&store, &objects)));
    assert_eq!(proxy.seen().len(), 0);
}

pub(crate) fn errors_of_the_account_keep_the_objects(server: &'static Server) {
    let (bucket, objects) = filled(server, 3);
    let errors = [
        (403, "RequestTimeTooSkewed", "clocks"),
        (400, "ExpiredToken", "credentials"),
        (403, "InvalidAccessKeyId", "credentials"),
        (403, "SignatureDoesNotMatch", "credentials"),
        (404, "NoSuchBucket", "bucket"),
    ];
    for is_confirming in [false, true] {
        let (store, proxy) = bucket.open_through(|options| options.confirm = is_confirming);
        for (status, code, word) in errors {
            let body: &'static str = format!("<Error><Code>{code}</Code><Message>m</Message></Error>").leak();
            for is_for_all in [true, false] {
                proxy.set(move |request| match is_for_all || request.is_deletion() {
                    true => Action::Answer(status, "", body),
                    false => Action::Pass,
                });
                let answers = delete(&store, &objects);
                assert!(failed(&answers), "{code}: {answers:?}");
                assert!(format!("{answers:?}").contains(word), "{code}: {answers:?}");
            }
            // A HEAD has no code.
            proxy.set(move |request| match request.method == "HEAD" {
                true => Action::Answer(status, "", body),
                false => Action::Pass,
            });
            if is_confirming && status != 404 {
                let answers = delete(&store, &objects);
                let is_kept = |answer: &Answer| matches!(answer, Answer::Failed(_) | Answer::Refused(_));
                assert!(answers.iter().all(is_kept), "{code}: {answers:?}");
            }
            proxy.set(move |_| Action::Answer(status, "", body));
            let mut options = bucket.options();
            options.endpoint = Some(proxy.endpoint.clone());
            assert!(S3Store::open(&options).is_err(), "{code}");
        }
    }
    assert_eq!(bucket.everything().len(), 4);
}

pub(crate) fn redirect_is_not_followed(server: &'static Server) {
    let (bucket, objects) = filled(server, 3);
    let elsewhere = bucket.open_through(|_| {}).1;
    elsewhere.set(|_| Action::Pass);
    let (store, proxy) = bucket.open_through(|_| {});
    let location: &'static str = format!("location: {}/{}\r\n", elsewhere.endpoint, bucket.name).leak();
    for status in [301, 302, 307, 308] {
        proxy.set(move |_| Action::Answer(status, location, ""));
        let answers = delete(&store, &objects);
        assert!(failed(&answers) && format!("{answers:?}").contains("redirect"), "{answers:?}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
    assert_eq!(bucket.everything().len(), 4);
}

/// A wrong endpoint, a captive portal, a proxy: nothing that they say is a word of the bucket.
pub(crate) fn answers_that_are_not_of_s3_keep_the_objects(server: &'static Server) {
    let (bucket, objects) = filled(server, 3);
    let answers = [
        Action::Answer(404, "", "<html>not here</html>"),
        Action::Answer(404, "", ""),
        Action::Answer(200, "content-type: text/html\r\n", "<html>please log in</html>"),
        Action::Answer(200, "", ""),
        Action::Answer(
            200,
            "",
            "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></DeleteResult>",
        ),
        Action::Answer(418, "", "?"),
    ];
    for action in answers {
        let (store, proxy) = bucket.open_through(|options| options.retry_for = Duration::ZERO);
        let given = action.clone();
        proxy.set(move |request| if request.is_deletion() { given.clone() } else { Action::Pass });
        let answers = delete(&store, &objects);
        assert!(failed(&answers), "{action:?}: {answers:?}");
        proxy.set(move |_| action.clone());
        let answers = delete(&store, &objects);
        assert!(failed(&answers), "{answers:?}");
    }
    assert_eq!(bucket.everything().len(), 4);
}

pub(crate) fn cut_answer_is_asked_again(server: &'static Server) {
    let (bucket, objects) = filled(server, 50);
    let (store, proxy) = bucket.open_through(|_| {});
    proxy.set(first(1, Action::CutAnswer, Request::is_bulk_deletion));
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Requested));
    assert_eq!(bucket.everything().len(), 1);
    proxy.set(first(1, Action::CutAnswer, |request| request.target.contains("versions")));
    let page = store.list(&Position::start("")).unwrap();
    assert_eq!(page.objects.len(), 1);
}

pub(crate) fn requests_in_flight_are_bounded(server: &'static Server) {
    let (bucket, objects) = filled(server, 500);
    let (store, proxy) = bucket.open_through(|options| options.requests_in_flight = 3);
    proxy.set(|_| Action::Delay(Duration::from_millis(50)));
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Requested));
    assert_eq!(proxy.most_at_once(), 3);
    let invalid = S3Store::open(&{
        let mut options = bucket.options();
        options.requests_in_flight = 0;
        options
    });
    assert!(matches!(invalid.map(drop), Err(Error::Invalid(_))));
    let kept = bucket.everything().pop().unwrap();
    assert_eq!(
        delete_one(
            &store,
            "kept",
            &object(match kept.version {
                Version::Object(id) => Some(id),
                other => panic!("{other:?}"),
            })
        ),
        Answer::Requested
    );
}

/// Servers of other makes leave operations out.
pub(crate) fn missing_operations_have_substitutes(server: &'static Server) {
    let (bucket, objects) = filled(server, 60);
    let (store, proxy) = bucket.open_through(|_| {});
    let unknown = "<Error><Code>NotImplemented</Code><Message>m</Message></Error>";
    proxy.set(move |request| match request.is_bulk_deletion() || request.target.contains("lifecycle") {
        true => Action::Answer(501, "", unknown),
        false => Action::Pass,
    });
    assert!(delete(&store, &objects).iter().all(|answer| *answer == Answer::Requested));
    assert_eq!(store.lifecycle(), Ok(Vec::new()));
    assert_eq!(bucket.everything().len(), 1);

    let bucket = Bucket::new(server, With::Nothing);
    for number in 0..5 {
        bucket.put(&format!("{number}+ä"));
    }
    let expected = bucket.everything();
    let (store, proxy) = bucket.open_through(|options| options.page_objects = 2);
    proxy.set(move |request| {
        match ["versions", "versioning", "uploads"].iter().any(|of| request.target.contains(of)) {
            true => Action::Answer(501, "", unknown),
            false => Action::Pass,
        }
    });
    let found = listed(&store, Position::start(""));
    assert_eq!(found, expected);
    let versioned = Bucket::new(server, With::Versioning);
    let (other, versions) = versioned.open_through(|_| {});
    versions.set(move |request| match request.target.contains("versions") {
        true => Action::Answer(501, "", unknown),
        false => Action::Pass,
    });
    assert!(matches!(other.list(&Position::start("")), Err(Error::Failed(_))), "current objects are not all");
    assert_eq!(delete_one(&store, &found[0].key, &found[0].version), Answer::Deleted);
    assert_eq!(bucket.everything().len(), 4);
}

/// The server ignores conditions, as far as the store can tell: the proxy calls every refusal a success.
pub(crate) fn bucket_without_conditions_is_refused(server: &'static Server) {
    let bucket = Bucket::new(server, With::Nothing);
    bucket.put("a");
    let version = bucket.under("a").pop().unwrap();
    let (careful, proxy) = bucket.open_through(|_| {});
    proxy.set(|request| match request.is_deletion() && request.target.contains("sexton-probe") {
        true => Action::Answer(204, "", ""),
        false => Action::Pass,
    });
    let mut options = bucket.options();
    options.endpoint = Some(proxy.endpoint);
    let opened = S3Store::open(&options).map(drop);
    assert!(matches!(&opened, Err(Error::Unsafe(why)) if why.contains("unsafe_unversioned")), "{opened:?}");
    assert_eq!(bucket.under("a"), std::slice::from_ref(&version));
    options.unsafe_unversioned = true;
    let store = S3Store::open(&options).unwrap();
    assert!(!store.capabilities().unwrap().conditions.unwrap().any());
    bucket.put_content("a", "another");
    assert_eq!(delete_one(&store, "a", &version), Answer::Changed, "it is compared all the same");
    let version = bucket.under("a").pop().unwrap();
    assert_eq!(delete_one(&store, "a", &version), Answer::Requested, "nothing is proven");
    // It was opened before, and knows what it saw then.
    assert_eq!(delete_one(&careful, "a", &version), Answer::Absent);
}

/// The authority of the file vouches for the server, and those of the machine do not.
pub(crate) fn server_is_trusted_by_the_ca_file_alone(server: &'static Server) {
    let (address, authority) = crate::server::moto_with_tls();
    let bucket = Bucket::new(server, With::Nothing);
    let mut options = bucket.options();
    options.endpoint = Some(format!("https://{address}"));
    options.retry_for = Duration::ZERO;
    let untrusted = S3Store::open(&options).map(drop);
    assert!(matches!(untrusted, Err(Error::Failed(_))), "{untrusted:?}");
    options.ca_file = Some(authority);
    // The other server does not have the bucket, so it did answer.
    let trusted = S3Store::open(&options).map(drop);
    assert!(matches!(trusted, Err(Error::NoBucket(_))), "{trusted:?}");
    options.ca_file = Some("/no/such/file".into());
    let invalid = S3Store::open(&options).map(drop);
    assert!(matches!(invalid, Err(Error::Invalid(_))), "{invalid:?}");
}
