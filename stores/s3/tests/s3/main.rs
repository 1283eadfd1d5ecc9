//! The store on S3 servers: moto, a mock, and Ceph's radosgw. `make test-s3` installs and runs both.
//!
//! Every test needs a server and is ignored elsewhere, so that without one it counts as ignored and never as passed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "shared test code may fail a test")]

mod bucket;
mod ceph_only;
mod deleting;
mod faults;
mod listing;
mod locks;
mod proxy;
mod server;
mod source;
mod unversioned;

/// Tests that hold on every server, and those that the mock cannot serve: it knows no VersionId `null`.
macro_rules! on_each_server {
    (
        $($module:ident::$test:ident,)* ;
        moto: $($moto_module:ident::$moto_test:ident,)* ;
        ceph: $($ceph_module:ident::$ceph_test:ident,)*
    ) => {
        mod moto {
            $(#[test]
            #[ignore = "needs moto: make test-s3"]
            fn $test() {
                crate::$module::$test(crate::server::moto());
            })*
            $(#[test]
            #[ignore = "needs moto: make test-s3"]
            fn $moto_test() {
                crate::$moto_module::$moto_test(crate::server::moto());
            })*
        }
        mod ceph {
            $(#[test]
            #[ignore = "needs Ceph: make test-s3"]
            fn $test() {
                crate::$module::$test(crate::server::ceph());
            })*
            $(#[test]
            #[ignore = "needs Ceph: make test-s3"]
            fn $ceph_test() {
                crate::$ceph_module::$ceph_test(crate::server::ceph());
            })*
        }
    };
}

on_each_server! {
    deleting::version_is_deleted_and_no_other,
    deleting::confirmed_answers_tell_deleted_from_absent,
    deleting::delete_marker_is_an_object,
    deleting::upload_is_an_object,
    deleting::many_sub_batches_are_deleted_at_once,
    deleting::store_works_inside_another_runtime,
    deleting::key_with_bytes_forbidden_in_xml_is_deleted,
    deleting::object_of_another_kind_fails,
    deleting::object_of_a_deleted_bucket_is_not_absent,
    unversioned::object_is_deleted_while_it_is_the_same,
    unversioned::probe_leaves_nothing_behind,
    listing::pages_give_each_object_once,
    listing::parts_give_each_object_once,
    listing::resumed_listing_survives_deletions,
    listing::engine_deletes_what_was_listed,
    locks::one_locked_object_of_a_thousand_is_refused,
    locks::hold_is_mirrored_and_lifted,
    locks::lifecycle_rules_are_read,
    faults::lost_answer_of_a_bulk_deletion_is_asked_again,
    faults::lost_answer_of_a_conditional_deletion_is_absent,
    faults::server_that_dies_in_a_bulk_deletion_loses_nothing,
    faults::storm_of_503_is_waited_out,
    faults::endless_storm_fails_and_deletes_nothing,
    faults::errors_of_the_account_keep_the_objects,
    faults::redirect_is_not_followed,
    faults::answers_that_are_not_of_s3_keep_the_objects,
    faults::cut_answer_is_asked_again,
    faults::requests_in_flight_are_bounded,
    faults::missing_operations_have_substitutes,
    faults::bucket_without_conditions_is_refused,
    locks::tags_of_a_version_are_read,
    source::bucket_is_taken_in_and_emptied_after_it_is_enabled,
    source::object_deleted_during_a_listing_is_not_registered_again,
    source::bucket_without_its_label_keeps_its_objects,
    source::rules_give_classes_and_contradictions_are_told,
    source::class_that_cannot_take_versions_stops_the_source,
    ;
    moto:
    faults::server_is_trusted_by_the_ca_file_alone,
    ;
    ceph:
    unversioned::null_version_of_a_versioned_bucket_is_deleted,
    unversioned::suspended_versioning_keeps_later_objects,
    unversioned::unsafe_option_deletes_null_versions_unproven,
    locks::retention_is_refused_with_its_date,
    ceph_only::killed_gateway_comes_back_to_a_repeated_deletion,
}
