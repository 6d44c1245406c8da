package lineage

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// part is an envelope or a body. Its normalise brings what has several spellings (zones and precision of times, order
// of sets, raw JSON) into the one that is recorded, and its encode writes that: the members in the order of the type, those
// with omitempty or omitzero left out where they are. Its read reads what encode writes, into a zero value.
type part interface {
	normalise() error
	encode() ([]byte, error)
	read(reader)
}

// encode writes the canonical form of a part that is normal.
func encode(p part) ([]byte, error) { return p.encode() }

func (e *Envelope) encode() ([]byte, error) {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	w := canon.NewWriter(*buf)
	e.write(&w)
	return written(w, buf)
}

func (b *Body) encode() ([]byte, error) {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	w := canon.NewWriter(*buf)
	b.write(&w)
	return written(w, buf)
}

// written returns what w wrote, and leaves its buffer to others.
func written(w canon.Writer, buf *[]byte) ([]byte, error) {
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
	if b.Lease != nil {
		b.Lease.write(w)
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
		w.OptionalTrue("deliver", r.Deliver)
		w.Close()
	}
	w.CloseList()
}

func writeVersions(w *canon.Writer, versions map[string]uint64) {
	if len(versions) == 0 {
		return
	}
	w.Open("facts")
	var room [8]string
	for _, key := range sortedKeys(versions, room[:0]) {
		w.Key(key)
		w.Uint("", versions[key])
	}
	w.Close()
}

// sortedKeys appends the keys of a map to keys, which is empty, in order.
func sortedKeys[V any](m map[string]V, keys []string) []string {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
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
