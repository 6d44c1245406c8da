package policycli

import (
	"context"
	"flag"
	"fmt"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// recorded is a decision in a store that is asked about.
type recorded struct {
	id string
	history
}

func (r *recorded) flags(f *flag.FlagSet) {
	f.StringVar(&r.id, "record", "", "the `ID` of a lineage record: what was known when it was decided is asked about")
	r.history.flags(f)
}

// misused says what is wrong with how the flags are used together; empty where nothing is.
func (r *recorded) misused(q question) string {
	switch {
	case r.id == "" && r.history == history{}:
		return ""
	case r.id == "" || r.history.misused() != "":
		return "--record, --store and --issuer go together"
	case q.file != "" || q.over.Node != nil:
		return "a recorded request is asked about as it was: --record goes without --request and what changes a request"
	}
	return ""
}

// facts returns what the policy was asked, and what is not known of it any more.
func (r *recorded) facts(ctx context.Context, p tokenboundary.Policy) ([]tokenboundary.Facts, []string, error) {
	id, err := lineage.ParseID(r.id)
	if err != nil {
		return nil, nil, err
	}
	from, closed, err := r.open()
	if err != nil {
		return nil, nil, err
	}
	defer closed()
	past, err := from.One(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	answer, err := past.Decide(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if len(answer.Asked) == 0 {
		return nil, nil, fmt.Errorf("the policy was not asked: %s", answer.Code)
	}
	var notes []string
	for _, fact := range past.Unknown {
		notes = append(notes, "what "+fact+" was then is not known any more: what it is now takes its place")
	}
	return answer.Asked, notes, nil
}
