package canary

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Store shows a Keeper everything that is written to a store, also what the store refuses.
type Store struct {
	store.Store
	Keeper *Keeper
}

// Commit implements store.Store.
func (s Store) Commit(ctx context.Context, txs []store.Tx) []error {
	errs := s.Store.Commit(ctx, txs)
	for i, tx := range txs {
		for _, r := range tx.Records {
			s.Keeper.See("lineage", string(r.Raw()), string(r.RawBody()))
		}
		for _, r := range tx.Revocations {
			s.Keeper.Show("revocations", r)
			s.Keeper.See("revocations", r.Selector.String(), r.Reason, r.By)
		}
		for _, h := range tx.Swaps {
			s.Keeper.See("heads", h.Key, h.State, string(h.Value))
		}
		for _, a := range tx.Adds {
			s.Keeper.See("heads", a.Key)
		}
		for _, r := range tx.Requires {
			s.Keeper.See("heads", r.Key, r.State)
		}
		if errs[i] != nil {
			s.Keeper.Show("store errors", errs[i])
		}
	}
	return errs
}

// Look implements store.Looker.
func (s Store) Look(ctx context.Context, issuer string, ids []lineage.ID, sels []lineage.Selector) ([]store.Entry, []lineage.Mark, error) {
	return store.Look(ctx, s.Store, issuer, ids, sels)
}

// Forms returns a value in all forms in which programs write it down.
func Forms(v any) []string {
	if v == nil {
		return nil
	}
	var log strings.Builder
	for _, h := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(h).Info("x", "v", v, "in", []any{v}, "of", map[string]any{"v": v})
	}
	raw, _ := json.Marshal(v)
	nested, _ := json.Marshal(map[string]any{"v": []any{v}})
	wrapper := struct{ V any }{v}
	out := []string{
		fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, v), fmt.Sprintf("%v %+v %#v", wrapper, wrapper, wrapper),
		fmt.Sprintf("%v %+v %#v", &wrapper, []any{v}, map[string]any{"v": v}), string(raw), string(nested), log.String(),
	}
	if err, ok := v.(error); ok {
		wrapped := fmt.Errorf("wrapped: %w", err)
		out = append(out, wrapped.Error(), fmt.Sprintf("%+v %#v", wrapped, wrapped))
		for _, e := range unwrapped(err) {
			out = append(out, fmt.Sprintf("%v %+v %#v", e, e, e))
		}
	}
	return out
}

// unwrapped returns all that an error wraps.
func unwrapped(err error) []error {
	var out []error
	switch e := err.(type) { //nolint:errorlint // it is the wrapping that is looked at
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			out = append([]error{inner}, unwrapped(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			out = append(append(out, inner), unwrapped(inner)...)
		}
	}
	return out
}
