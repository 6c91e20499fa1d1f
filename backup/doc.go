// Package backup keeps backups: sealed objects in a folder, in a bucket or on another server, each
// with a small record that is written last. It knows nothing of servers, Docker or stack files.
//
// A [Target] is a place that keeps objects; three are here: [OpenFolder], [OpenBucket], [OpenShell].
// A [Store] is one stack's backups in a target. What is in a target, byte by byte, and how to
// restore from it with age and sha256sum alone, is in docs/backups.md.
//
// The promises:
//   - A backup exists when its record does. Whatever goes wrong before, nothing is listed, and
//     earlier backups are untouched; what is left behind is removed by [Store.Sweep] after [Grace].
//   - A backup is read to its end only if both sizes and both sums agree with its record, and the
//     record with its own sum: anything else is a [CorruptError].
//   - Stacks that share a target never see, name or remove each other's objects.
package backup
