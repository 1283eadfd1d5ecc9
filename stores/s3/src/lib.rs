//! S3 buckets as a store of objects.
