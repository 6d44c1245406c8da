package tokenboundary

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// envKey is the head that holds the facts policies see as env. Facts about a session, a subject, an actor or a client
// are a head whose key is the text of the selector.
const envKey = "fact:env"

// factSet is what was known of the changeable facts when a request was decided, and the heads it was read from: the
// commit is conditional on their versions.
type factSet struct {
	heads      []store.Head
	env        map[string]any
	risk       string
	assurance  *Assurance
	assured    time.Time // when the assurance was signalled
	attributes Attributes
}

// partyFacts is the value of a head with facts about one selector.
type partyFacts struct {
	Risk       string         `json:"risk,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Assurance  *Assurance     `json:"assurance,omitempty"`
	Assured    time.Time      `json:"assured,omitzero"`
}

// riskLevels are the levels of risk that a signal can set, rising.
var riskLevels = []string{"low", "medium", "high"}

const riskUnknown = "unknown"

// versions returns the versions of the facts that were there, and of those that only the other set has.
func (f *factSet) versions(other *factSet) map[string]uint64 {
	out := map[string]uint64{}
	for _, set := range []*factSet{other, f} {
		if set == nil {
			continue
		}
		for _, h := range set.heads {
			if h.Version > 0 {
				out[h.Key] = h.Version
			}
		}
	}
	return out
}

// unchanged returns the conditions under which the facts are still those that were read.
func (f *factSet) unchanged() []store.Require {
	out := make([]store.Require, len(f.heads), len(f.heads)+2) // for that of a task, and one more
	for i, h := range f.heads {
		out[i] = store.Require{Key: h.Key, Version: h.Version, State: h.State}
	}
	return out
}

// recordedFacts returns the conditions that a record's decision rests on: the facts are still those that it read.
func recordedFacts(b lineage.Body) *factSet {
	f := &factSet{}
	for _, key := range about(b.Client, b.Subject, b.Actors, b.Session.ID) {
		h := store.Head{Key: key, Version: b.Facts[key]}
		if h.Version > 0 {
			h.State = "set"
		}
		f.heads = append(f.heads, h)
	}
	return f
}

// about returns the keys of the facts that concern a decision: the session's, the subject's, each actor's and the
// client's.
func about(client string, subject lineage.Party, chain []lineage.Party, session string) []string {
	keys := append(make([]string, 0, 5+len(chain)), envKey)
	var all strings.Builder // of which the keys are parts
	all.Grow((4 + len(chain)) * 32)
	add := func(kind, value string) {
		if value == "" {
			return
		}
		start := all.Len()
		all.WriteString(kind)
		all.WriteByte(':')
		all.WriteString(value)
		if key := all.String()[start:]; !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	add(lineage.SelectSession, session)
	add(lineage.SelectSubject, subject.ID)
	for _, a := range acting(subject, chain) {
		add(lineage.SelectActor, a.ID)
	}
	add(lineage.SelectClient, client)
	return keys
}

// readFacts reads the facts that concern the hop, in one look at the store.
func (h *hop) readFacts(ctx context.Context) error {
	heads, err := h.seen.concerning(ctx, h)
	if err != nil {
		return unavailable("store", err)
	}
	f := &factSet{heads: heads, risk: riskUnknown}
	if heads[0].Version == 0 {
		if heads[0], err = h.g.firstFacts(ctx); err != nil {
			return err
		}
	}
	if f.env, err = h.g.parseEnv(heads[0]); err != nil {
		return err
	}
	level := -1
	for _, head := range heads[1:] {
		if head.Version == 0 {
			continue
		}
		var p partyFacts
		if err := readHead(head, &p); err != nil {
			return err
		}
		if i := slices.Index(riskLevels, p.Risk); i > level {
			level, f.risk = i, p.Risk
		}
		f.take(h, head.Key, p)
	}
	h.facts = f
	return nil
}

// take notes what the head with the key says of a party or the session.
func (f *factSet) take(h *hop, key string, p partyFacts) {
	kind, id, _ := strings.Cut(key, ":")
	switch kind {
	case lineage.SelectSession:
		f.attributes.Session, f.assurance, f.assured = p.Attributes, p.Assurance, p.Assured
	case lineage.SelectSubject:
		f.attributes.Subject = p.Attributes
	case lineage.SelectActor:
		if id == acting(h.subject, h.chain)[0].ID {
			f.attributes.Actor = p.Attributes
		}
	case lineage.SelectClient:
		f.attributes.Client = p.Attributes
	}
}

// current returns the session as policies see it: how the subject is authenticated now.
func (f *factSet) current(s lineage.Session) lineage.Session {
	if a := f.assurance; a != nil && !s.AuthTime.After(f.assured) {
		s.AuthTime, s.ACR, s.AMR = lineage.Time(a.AuthTime), a.ACR, a.AMR
	}
	return s
}

// carried returns the session as a token may state it. What a signal has changed since is left out: a derivation neither
// raises the assurance of the session it came from, nor states one that no longer holds.
// A request that waited for a step-up, made from no token, states the one that it waited for.
func (f *factSet) carried(s lineage.Session, steppedUp bool) lineage.Session {
	now := f.current(s)
	if steppedUp {
		return now
	}
	if !now.AuthTime.Equal(s.AuthTime) {
		s.AuthTime = time.Time{}
	}
	if now.ACR != s.ACR {
		s.ACR = ""
	}
	if !slices.Equal(now.AMR, s.AMR) {
		s.AMR = nil
	}
	return s
}

// env is one parsed version of the facts that policies see as env.
type env struct {
	version uint64
	facts   map[string]any
}

// parseEnv returns the content of the env head, which is parsed once per version.
func (g *Governor) parseEnv(head store.Head) (map[string]any, error) {
	known := g.known.Load()
	if known != nil && known.version == head.Version {
		return known.facts, nil
	}
	if known == nil && !bytes.Equal(head.Value, g.env) && g.differs.CompareAndSwap(false, true) { // at the start
		g.cfg.Logger.Warn("the store holds other facts than Config.Env, and those of the store are in force")
	}
	e := &env{version: head.Version}
	if err := readHead(head, &e.facts); err != nil {
		return nil, err
	}
	g.known.Store(e)
	return e.facts, nil
}

// pastKey is the head that keeps what a version of a fact was.
func pastKey(key string, version uint64) string {
	return canon.Key("past", key, strconv.FormatUint(version, 10))
}

// factSwaps returns the writes that give a head of facts its next value. The value is kept under a key of its own as well:
// records name the version that they were decided on, and what was decided can then be asked again. Prune forgets what no
// record is left of.
func factSwaps(head store.Head, value []byte) []store.Swap {
	return []store.Swap{
		{Key: head.Key, Version: head.Version, State: "set", Value: value},
		{Key: pastKey(head.Key, head.Version+1), State: "set", Value: value},
	}
}

// firstFacts writes the configured values into a new store.
func (g *Governor) firstFacts(ctx context.Context) (store.Head, error) {
	tx := g.tx(g.now())
	tx.Swaps = factSwaps(store.Head{Key: envKey}, g.env)
	err := g.commit(ctx, tx)
	if errors.Is(err, store.ErrConflict) {
		err = errStale // another node was first
	}
	return store.Head{Key: envKey, Version: 1, State: "set", Value: g.env}, err
}
