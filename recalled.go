package tokenboundary

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Why a request was refused by what the policy said. Records hold these texts: by them a decision of the policy is told
// from a refusal that no policy could change.
const (
	whyDenied       = "the policy denies the target"
	whyNoRule       = "no rule allows what was asked for"
	whyNothingLeft  = "nothing is left after narrowing"
	whyNotTheSame   = "the resources do not grant the same scopes"
	whyNotWhole     = "the task's authority is granted whole or not at all"
	whyNothingAgain = "nothing of the task can be refreshed"
	whyOutside      = "outside what it is made from"
	whyNoDetails    = "none is granted"
	whyTooLong      = "the chain is longer than the policy allows"
	whyLess         = "less would be granted now" // of a withdrawal
)

var policyWhys = []string{
	whyDenied, whyNoRule, whyNothingLeft, whyNotTheSame, whyNotWhole, whyNothingAgain, whyOutside, whyNoDetails, whyTooLong,
}

// Why a scope is not granted although the policy grants it.
const (
	whyNotHeld = "not held by what it is made from"
	whyUnmet   = "an obligation is not met: " // and its kind
)

// Why a record is no decision that can be asked again; see Past.Skip.
const (
	SkipErased    = "erased"
	SkipRepeat    = "part of a decision that another record tells" // the records of a task and of a refresh family
	SkipUndecided = "refused before the policy was asked"
	SkipWithdrawn = "withdrawn after a change"
	SkipOther     = "refused for what is no matter of a policy"
	SkipAncestry  = "what it was made from is erased or gone"
	SkipOutside   = "limited by outside authority, which is not recorded"
	SkipDetails   = "authorization_details of a type that is not known here" // see Recall.Details
)

// skip says why a record is no decision that can be asked again, as far as it shows by itself; empty where it is one.
func (r Recall) skip(record lineage.Record) string {
	if why := undecided(record); why != "" {
		return why
	}
	var entries []json.RawMessage
	if raw := record.Body.Requested.Details; len(raw) > 0 && json.Unmarshal(raw, &entries) != nil {
		return SkipDetails
	}
	for _, entry := range entries {
		if r.Details[typeOf(entry)] == nil {
			return SkipDetails
		}
	}
	return ""
}

// undecided says why a record is no decision of a policy.
func undecided(r lineage.Record) string {
	b := r.Body
	switch {
	case b == nil:
		return SkipErased
	case r.Kind == lineage.KindTask || r.Kind == lineage.KindGrant:
		return SkipRepeat
	case b.Facts[envKey] == 0:
		return SkipUndecided
	case r.Kind == lineage.KindDenial && !slices.Contains(policyWhys, why(b)):
		if _, after, ok := strings.Cut(why(b), ": "); ok && slices.Contains(withdrawnWhys, after) {
			return SkipWithdrawn
		}
		return SkipOther
	case len(r.Parents) == 0 && b.Approved == nil && (why(b) == whyOutside || slices.ContainsFunc(b.Reasons, notHeld)):
		return SkipOutside
	}
	return ""
}

// withdrawnWhys are what a withdrawal says after what has changed.
var withdrawnWhys = append(slices.Clone(policyWhys), whyLess)

// why returns what a refusal says last, which is why; empty where there is none.
func why(b *lineage.Body) string {
	if len(b.Reasons) == 0 {
		return ""
	}
	return b.Reasons[len(b.Reasons)-1].Why
}

func notHeld(r lineage.Reason) bool { return !r.Granted && r.Why == whyNotHeld }
