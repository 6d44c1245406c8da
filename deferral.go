package tokenboundary

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Deferral is what a client polls a deferred request with. It hides its code in logs, in JSON and in fmt.
type Deferral struct {
	code string

	ExpiresIn time.Duration // how long the request waits at most
	Interval  time.Duration // how long the client must wait between polls
}

// Value returns the deferral code.
func (d Deferral) Value() string { return d.code }

// String hides the code.
func (d Deferral) String() string { return "deferral" }

// GoString hides the code.
func (d Deferral) GoString() string { return d.String() }

// LogValue hides the code.
func (d Deferral) LogValue() slog.Value { return slog.StringValue(d.String()) }

// MarshalJSON hides the code.
func (d Deferral) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// pollInterval is how long a client waits between polls to begin with (RFC 8628, section 3.2).
const pollInterval = 5 * time.Second

// A deferral code is the id of the deferred request's record and a secret, of which the store has only the digest.
const (
	deferralPrefix = "tbd_"
	deferralSize   = 32 + 32
)

// sealDeferral makes the record of a request that has to wait: exactly what would be granted, and for how long.
func (h *hop) sealDeferral(depth int) error {
	expires := h.clamp(h.now.Add(h.g.cfg.Lifetimes.Approval)).Truncate(time.Second)
	if !h.lapse.IsZero() && h.lapse.Before(expires) {
		expires = h.lapse.Truncate(time.Second)
	}
	parent, r := h.parentRecord(), h.ruling
	body := h.body(r, parent)
	body.Task = h.inheritedTask()
	if t := h.req.Task; t != nil {
		deadline := h.deadline()
		if deadline.Before(expires) {
			expires = deadline
		}
		authority := lineage.Authority{Access: h.task.access, Details: h.task.details, NotAfter: deadline, Depth: depth}.Normal()
		body.Task = &lineage.Task{
			Purpose: t.Purpose, Context: t.Context, Deadline: deadline, Budget: h.budget(), Authority: &authority,
		}
	}
	if !expires.After(h.now) {
		return h.unacceptable("no time is left")
	}
	lifetime := h.lifetime(r)
	body.Granted = lineage.Authority{Access: r.access, Details: r.details, NotAfter: h.clamp(h.now.Add(h.g.cfg.Lifetimes.life())), Depth: depth}.Normal()
	if body.Audience = body.Granted.Resources(); len(body.Audience) == 0 {
		body.Audience = []string{h.g.cfg.Issuer}
	}
	body.Deferred = &lineage.Deferred{Wants: h.wants, Lifetime: lifetime}
	if t := h.req.Task; t != nil {
		body.Deferred.Task = &lineage.AskedTask{MaxDerivations: t.MaxDerivations, Authority: t.Authority}
	}
	body.Deferred.Digest = digestOf(body, parent, h.now)
	_, err := h.record(lineage.KindApproval, parent, expires, body)
	return err
}

// digestOf identifies a request to those who agree to it: who asks, for whom, in which way, from what, and for what and how
// long. When it was asked, and what is good for one use only, is not part of it.
func digestOf(b lineage.Body, parent *lineage.Record, now time.Time) string {
	from := ""
	if parent != nil {
		from = parent.ID().String()
	}
	granted := b.Granted
	granted.NotAfter = time.Time{}
	parts := []string{"approval", b.Client, b.Bound, b.GrantType, b.Connection, from, b.ActorToken.String()}
	all := []any{b.Subject, b.Actors, granted, b.Audience, b.Deferred.Lifetime}
	if t := b.Task; t != nil {
		all = append(all, t.ID, t.Purpose, t.Context, t.Budget)
		if t.Authority != nil { // of a task that would be started
			authority := *t.Authority
			authority.NotAfter = time.Time{}
			all = append(all, authority, t.Deadline.Sub(now).Round(time.Second))
		}
	}
	for _, v := range all {
		data, _ := json.Marshal(v) // plain data: cannot fail
		parts = append(parts, string(data))
	}
	d := sha256.Sum256([]byte(canon.Key(parts...)))
	return base64.RawURLEncoding.EncodeToString(d[:])
}

// postpone records a request that has to wait and tells the client how to poll. Nothing is granted, and no derivation is
// spent, before it is released.
func (h *hop) postpone(ctx context.Context) (Decision, error) {
	r := h.records[len(h.records)-1]
	var secret [32]byte
	rand.Read(secret[:]) //nolint:errcheck // never fails (crypto/rand)
	digest := sha256.Sum256(secret[:])
	value, err := json.Marshal(waitHead{Digest: digest[:]})
	if err != nil {
		return Decision{}, unavailable("deferral", err)
	}
	tx := h.grounds()
	begin := state.Waiting
	if len(groupsOf(r)) > 0 {
		begin = state.Pending
	}
	tx.Swaps = append(tx.Swaps, store.Swap{
		Key: waitKey(r.ID()), State: begin, Value: value, Expires: r.ExpiresAt.Add(2 * h.g.cfg.Lifetimes.ClockLeeway),
	})
	if err := h.enter(ctx, tx, r); err != nil {
		return Decision{}, err
	}
	id := r.ID()
	code := deferralPrefix + base64.RawURLEncoding.EncodeToString(append(id[:], secret[:]...))
	return Decision{
		ID: id, Code: CodeAuthorizationPending, Client: h.client.ID, Subject: h.subject, Actors: h.chain,
		Path: h.ruling.path(), Version: r.Policy, Reasons: r.Body.Reasons, Obligations: h.wants,
		Deferral: &Deferral{code: code, ExpiresIn: r.ExpiresAt.Sub(h.now), Interval: pollInterval},
	}, nil
}

// enter commits tx together with entering the request into its lists, which many may want to do at once.
func (h *hop) enter(ctx context.Context, tx store.Tx, r lineage.Record) error {
	own := tx.Swaps
	var err error
	for range contended {
		var lists []store.Swap
		if lists, err = h.g.enlist(ctx, r, h.now); err != nil {
			return err
		}
		tx.Swaps = slices.Concat(own, lists)
		err = h.g.commit(ctx, tx)
		var c *store.Conflict
		if !errors.As(err, &c) || !slices.ContainsFunc(lists, func(s store.Swap) bool { return s.Key == c.Key }) {
			break
		}
	}
	return h.meaning(err)
}
