// Package state is the memory of a stack: numbered, immutable snapshots in a
// store, a lease that lets one session write at a time, and the key that seals
// what is secret. It knows nothing of what a snapshot's body means.
//
// Reading needs no lease:
//
//	store, err := state.Open(ctx, "cloudship.state") // or s3://bucket/prefix, postgres://host/db
//	head, err := state.ReadHead(ctx, store)          // newest good snapshot, damaged ones named
//	err = head.Snapshot.CheckKey(key)                // ErrWrongKey before any call is made
//	history, err := state.ReadHistory(ctx, store)    // who did what, when; and whether the chain holds
//
// Writing is a session. It holds the lease from Begin to Close, renews it in
// the background, and is the only way to commit:
//
//	session, err := state.Begin(ctx, store, state.Options{Command: "apply"}) // *LockedError: somebody else's
//	defer session.Close(ctx)
//	head := session.Head()                               // as it is under the lease
//	err = session.Use(stackID, key)                      // for the commits to come
//	err = session.Commit(ctx, source)                    // before a call: stored when it returns
//	call, done, err := session.Call(ctx, 30*time.Second) // a context that ends with the lease
//	session.Note(source)                                 // after a call: found facts, one commit a second at most
//	err = session.CommitClosing(ctx, source)             // the command's last
//
// A Source is a function, a view of the caller's memory, asked when the commit
// is made. So commits that wait for one another are made as one, and the newest
// always wins.
//
// # What is promised
//
// A snapshot is whole or absent. A commit is a put-if-absent of the next
// number, and counts only if that number is the highest when read back. An
// answer that is lost is settled by reading: a snapshot that reached the store
// is ours, whatever error the client saw. A session whose lease ended cannot
// commit: whoever takes a lease over from a holder not known to be dead first
// commits a fence, the head once more, and so takes the number that a frozen
// holder would use.
//
// Whether a lease has ended is judged by the store's own clock, and by the
// holder by a clock that nobody sets; a wrong or jumping wall clock does no
// harm. A lease needs no person to be freed: it ends by itself, and a holder
// that died on this machine is recognised at once.
package state
