package tokenboundary

import (
	"context"
	"encoding/json"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Deferred requests are listed in heads, so that they can be counted and shown without a look at anything that does not
// wait: those of each client, and those that each group is asked for. A list may still name what is not open any more.

// listed is an entry of a list.
type listed struct {
	ID      lineage.ID `json:"id"`
	Expires time.Time  `json:"exp"`
}

// maxListed bounds how many open requests one group is asked for.
const maxListed = 1000

func groupKey(group string) string   { return canon.Key("approvals of group", group) }
func clientKey(client string) string { return canon.Key("approvals of client", client) }

// list returns the open requests of a list, and its head.
func (g *Governor) list(ctx context.Context, key string, now time.Time) ([]*deferred, store.Head, error) {
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{key})
	if err != nil {
		return nil, store.Head{}, unavailable("store", err)
	}
	var all []listed
	if heads[0].Version > 0 {
		if err := readHead(heads[0], &all); err != nil {
			return nil, store.Head{}, err
		}
	}
	var ids []lineage.ID
	for _, x := range all {
		if now.Before(x.Expires) {
			ids = append(ids, x.ID)
		}
	}
	found, err := g.waitingAll(ctx, ids)
	if err != nil {
		return nil, store.Head{}, err
	}
	var out []*deferred
	for _, d := range found {
		if d == nil {
			continue
		}
		if s := stateOf(d.entry, now); d.head.State != state.Released && d.head.State != state.Refused && s != lineage.Revoked {
			out = append(out, d)
		}
	}
	return out, heads[0], nil
}

// enlist returns the writes by which a deferred request joins the lists; a refusal where its client has too many already.
func (g *Governor) enlist(ctx context.Context, r lineage.Record, now time.Time) ([]store.Swap, error) {
	lists := []struct {
		key  string
		most int
	}{{clientKey(r.Body.Client), g.cfg.Deferrals}}
	for _, group := range groupsOf(r) {
		lists = append(lists, struct {
			key  string
			most int
		}{groupKey(group), maxListed})
	}
	var out []store.Swap
	for _, l := range lists {
		open, head, err := g.list(ctx, l.key, now)
		if err != nil {
			return nil, err
		}
		if len(open) >= l.most {
			return nil, refuse(CodeInvalidRequest, "completion_mode", "too many requests wait already")
		}
		all := []listed{{r.ID(), r.ExpiresAt}}
		latest := r.ExpiresAt
		for _, d := range open {
			x := listed{d.entry.Record.ID(), d.entry.Record.ExpiresAt}
			if all = append(all, x); x.Expires.After(latest) {
				latest = x.Expires
			}
		}
		value, err := json.Marshal(all)
		if err != nil {
			return nil, unavailable("approvals", err)
		}
		out = append(out, store.Swap{
			Key: l.key, Version: head.Version, State: "set", Value: value, Expires: latest.Add(2 * g.cfg.Lifetimes.ClockLeeway),
		})
	}
	return out, nil
}
