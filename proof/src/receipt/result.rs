//! Result of anonymising an object (`docs/format.md` §5, check 6).

use super::checks::other_header;
use super::encoding::ResultProof;
use super::error::VerifyError;
use super::known::KnownBatch;
use crate::commitment;
use crate::leaf::Disposition;
use crate::record::{FileKind, Header, Method, ResultRecord, Tombstone};

/// Performs check 6 for the result, and returns its digest.
///
/// The receipt has a result if and only if the object was anonymised, and then the class is one that anonymises. The
/// record is in the batch's file of results, belongs to the tombstone, and commits to the digest.
pub(super) fn check_result(
    batch: &mut KnownBatch,
    disposition: Disposition,
    tombstone: &Tombstone,
    r: &[u8; 32],
    result: Option<ResultProof>,
) -> Result<Option<Vec<u8>>, VerifyError> {
    let (proof, digest) = match (tombstone.method, result) {
        (Method::Anonymised, Some(ResultProof { proof, digest })) => (proof, digest),
        (Method::Anonymised, None) => return Err(VerifyError::NoResult),
        (_, None) => return Ok(None),
        (found, Some(_)) => return Err(VerifyError::SurplusResult { found }),
    };
    if disposition != Disposition::Anonymise {
        return Err(VerifyError::Disposition { found: disposition });
    }
    let file = batch.leaf.results.ok_or(VerifyError::NoResults)?;
    let record = proof.verify_after(batch.result.as_ref(), file.n, &file.root);
    let record = record.map_err(VerifyError::ResultChunk)?;
    let header = Header { kind: FileKind::Results, batch: batch.leaf.batch, n: file.n };
    if let Some(found) = other_header(&proof, header).map_err(VerifyError::ResultRecord)? {
        return Err(VerifyError::ResultHeader { expected: header, found });
    }
    let record = ResultRecord::from_bytes(&record).map_err(VerifyError::ResultRecord)?;
    let (expected, found) = ((tombstone.page, tombstone.seq), (record.page, record.seq));
    if found != expected {
        return Err(VerifyError::ResultPlace { expected, found });
    }
    let found = commitment::result(r, &digest);
    if found != record.commitment {
        return Err(VerifyError::ResultCommitment { expected: record.commitment, found });
    }
    batch.result = Some(proof);
    Ok(Some(digest))
}
