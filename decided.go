package tokenboundary

import "github.com/tokenboundary/tokenboundary/lineage"

// Scopes returns the scopes of the token that was decided, which are the same at each of its resources. They are those of
// the decision, and must not be changed; none where nothing but deriving was granted.
func (d Decision) Scopes() []string {
	if len(d.Granted.Access) == 0 {
		return nil
	}
	return d.Granted.Access[0].Scopes
}

// Token returns the record that Governor.Record will commit for the token, zero where there is none to commit: its Root,
// Ancestors and TaskID are what the claims txn, lin and task of a token of ours say.
func (d Decision) Token() lineage.Record {
	if d.Pending == nil || len(d.Pending.Records) == 0 {
		return lineage.Record{}
	}
	return d.Pending.Records[len(d.Pending.Records)-1]
}
