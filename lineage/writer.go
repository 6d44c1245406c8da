package lineage

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// part is an envelope or a body. Its normalise brings what has several spellings (zones and precision of times, order
// of sets, raw JSON) into the one that is recorded, and its write writes that: the members in the order of the type, those
// with omitempty or omitzero left out where they are.
type part interface {
	normalise() error
	write(*canon.Writer)
}

// encode writes the canonical form of a part that is normal.
func encode(p part) ([]byte, error) {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	w := canon.NewWriter(*buf)
	p.write(&w)
	out, err := w.Bytes()
	if *buf = out; err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	return bytes.Clone(out), nil
}

func (e *Envelope) write(w *canon.Writer) {
	w.Open("")
	w.Int("v", int64(e.Version))
	w.Text("kind", string(e.Kind))
	w.Text("iss", e.Issuer)
	writeIDs(w, "parents", e.Parents)
	writeIDs(w, "ancestors", e.Ancestors)
	e.Grant.write(w, "grant")
	w.Time("iat", e.IssuedAt)
	w.OptionalTime("exp", e.ExpiresAt)
	w.Time("since", e.Since)
	w.OptionalText("policy", e.Policy)
	w.Append("body", e.Digest.append)
	w.Close()
}

func (b *Body) write(w *canon.Writer) {
	w.Open("")
	w.Binary("salt", b.Salt)
	w.Text("client", b.Client)
	w.OptionalText("client_kind", b.ClientKind)
	w.OptionalTexts("client_groups", b.ClientGroups)
	if b.Subject != (Party{}) {
		b.Subject.write(w, "subject")
	}
	if len(b.Actors) > 0 {
		w.OpenList("actors")
		for _, a := range b.Actors {
			a.write(w, "")
		}
		w.CloseList()
	}
	b.Session.write(w, "session")
	w.Text("grant_type", b.GrantType)
	w.OptionalText("connection", b.Connection)
	w.OptionalTexts("paths", b.Paths)
	if b.Task != nil {
		b.Task.write(w)
	}
	b.Requested.write(w)
	b.Granted.write(w, "granted")
	w.OptionalTexts("aud", b.Audience)
	writeReasons(w, "reasons", b.Reasons)
	w.OptionalTexts("controls", b.Controls)
	b.ActorToken.write(w, "actor_token")
	w.OptionalText("kid", b.Key)
	w.OptionalText("jkt", b.Bound)
	w.OptionalInt("recheck_ns", int64(b.Recheck))
	if b.Deferred != nil {
		b.Deferred.write(w)
	}
	if b.Approved != nil {
		b.Approved.write(w)
	}
	w.OptionalText("code", b.Code)
	writeVersions(w, b.Facts)
	writeSelectors(w, b.Selectors)
	if b.Shadow != nil {
		b.Shadow.write(w)
	}
	w.OptionalTrue("unconfirmed", b.Unconfirmed)
	w.Close()
}

func (id ID) write(w *canon.Writer, name string) {
	if !id.IsZero() {
		w.Append(name, id.append)
	}
}

func writeIDs(w *canon.Writer, name string, ids []ID) {
	if len(ids) == 0 {
		return
	}
	w.OpenList(name)
	for _, id := range ids {
		w.Append("", id.append)
	}
	w.CloseList()
}

func writeReasons(w *canon.Writer, name string, reasons []Reason) {
	if len(reasons) == 0 {
		return
	}
	w.OpenList(name)
	for _, r := range reasons {
		w.Open("")
		w.OptionalText("resource", r.Resource)
		w.OptionalText("scope", r.Scope)
		w.OptionalTrue("granted", r.Granted)
		w.OptionalText("rule", r.Rule)
		w.OptionalText("why", r.Why)
		w.OptionalTexts("delegates", r.Delegates)
		w.OptionalTrue("refresh", r.Refresh)
		w.Close()
	}
	w.CloseList()
}

func writeVersions(w *canon.Writer, versions map[string]uint64) {
	if len(versions) == 0 {
		return
	}
	w.Open("facts")
	for _, key := range slices.Sorted(maps.Keys(versions)) {
		w.Key(key)
		w.Uint("", versions[key])
	}
	w.Close()
}

func writeSelectors(w *canon.Writer, sels []Selector) {
	if len(sels) == 0 {
		return
	}
	w.OpenList("selectors")
	for _, s := range sels {
		w.Joined("", s.Kind, ":", s.Value)
	}
	w.CloseList()
}
