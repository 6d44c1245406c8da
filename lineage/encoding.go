package lineage

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// The largest encodings that Decode reads.
const (
	maxEnvelope = 8 << 10
	maxBody     = 256 << 10
)

const saltSize = 16 // bytes

var errSize = fmt.Errorf("%w: size or encoding", errRecord)

var errVersion = fmt.Errorf("%w: unknown format version", errRecord)

// decode reads only what normalise and encode would have written for the value, byte for byte. The reader accepts
// nothing else and takes a quarter of the time; what it does not accept is read in the way that says why.
func decode(raw []byte, limit int, v part) error {
	switch {
	case len(raw) > limit:
		return errSize
	case read(raw, v):
		return nil
	case !utf8.Valid(raw):
		return errSize
	}
	reflect.ValueOf(v).Elem().SetZero()
	return decodeByEncoding(raw, v)
}

// decodeByEncoding is what decode means: it writes the value again and compares.
func decodeByEncoding(raw []byte, v part) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: syntax", errRecord)
	}
	if err := v.normalise(); err != nil {
		return err
	}
	again, err := encode(v)
	if err != nil || !bytes.Equal(again, raw) {
		return fmt.Errorf("%w: not canonical", errRecord)
	}
	return nil
}

// Decode reads a record back from its bytes, which it keeps. A nil body is an erased one. Bytes that are not the
// canonical encoding of a well-formed record, and a body that the envelope does not commit to, are refused.
func Decode(raw, body []byte) (Record, error) {
	r := Record{raw: raw, body: body}
	if err := decode(raw, maxEnvelope, &r.Envelope); err != nil {
		if v := r.Version; v != 0 && v != FormatVersion {
			err = errVersion // a later format has members that this one does not know
		}
		return Record{}, err
	}
	if err := r.Envelope.check(); err != nil {
		return Record{}, err
	}
	r.id = IDOf(raw)
	if body == nil {
		return r.Erase(), nil
	}
	if ID(sha256.Sum256(body)) != r.Digest {
		return Record{}, fmt.Errorf("%w: the body is not the one recorded", errRecord)
	}
	r.Body = new(Body)
	if err := decode(body, maxBody, r.Body); err != nil {
		return Record{}, err
	}
	if err := r.checkBody(); err != nil {
		return Record{}, err
	}
	r.selectors = r.allSelectors()
	return r, nil
}

func (r Record) checkBody() error {
	b := r.Body
	inTask := b.Task != nil
	switch {
	case len(b.Salt) != saltSize:
		return fmt.Errorf("%w: salt", errRecord)
	case r.Kind == KindTask && (!inTask || !b.Task.ID.IsZero() || b.Task.Authority == nil):
		return fmt.Errorf("%w: a task without its terms", errRecord)
	case (r.Kind == KindApproval) != (b.Deferred != nil):
		return fmt.Errorf("%w: an approval without what it waits for", errRecord)
	case r.Kind == KindLease && (b.Lease == nil || b.Lease.By == "" || len(r.Ancestors) == 0):
		return fmt.Errorf("%w: a lease of nobody, or for nothing", errRecord)
	case r.Kind != KindLease && r.Kind != KindDenial && b.Lease != nil:
		return fmt.Errorf("%w: the terms of a lease in something else", errRecord)
	case (r.Kind == KindToken || r.Kind == KindGrant || r.Kind == KindLease) && inTask && !slices.Contains(r.Ancestors, b.Task.ID):
		return fmt.Errorf("%w: a token of a task that it does not descend from", errRecord)
	case r.Kind == KindApproval && inTask && !b.Task.ID.IsZero() && !slices.Contains(r.Ancestors, b.Task.ID):
		return fmt.Errorf("%w: an approval in a task that it does not descend from", errRecord)
	case r.Kind != KindDenial && (b.Client == "" || b.Subject.ID == ""):
		return fmt.Errorf("%w: no client or subject", errRecord)
	}
	return nil
}

func (e *Envelope) normalise() error {
	e.IssuedAt, e.ExpiresAt, e.Since = Time(e.IssuedAt), Time(e.ExpiresAt), Time(e.Since)
	return nil
}

// normalise changes nothing that b shares with another value.
func (b *Body) normalise() error {
	err := errors.Join(b.Granted.normalise(), normaliseJSON(&b.Requested.Details))
	if b.Task != nil {
		t := *b.Task
		t.Deadline = Time(t.Deadline)
		err = errors.Join(err, normaliseJSON(&t.Context))
		if t.Authority != nil {
			a := *t.Authority
			err = errors.Join(err, a.normalise())
			t.Authority = &a
		}
		b.Task = &t
	}
	if b.Approved != nil {
		a := *b.Approved
		a.At = Time(a.At)
		b.Approved = &a
	}
	b.Session.AuthTime = Time(b.Session.AuthTime)
	b.Selectors = Union(b.Selectors) // itself, where it is in order
	for _, s := range b.Selectors {
		if s.check() != nil {
			return fmt.Errorf("%w: a selector that selects nothing", errRecord)
		}
	}
	return err
}

func (a *Authority) normalise() error {
	details := slices.Clone(a.Details)
	for i := range details {
		err := normaliseJSON(&details[i])
		if err != nil || len(details[i]) == 0 || details[i][0] != '{' {
			return fmt.Errorf("%w: a detail that is no object", errRecord)
		}
	}
	a.Details, a.NotAfter = details, Time(a.NotAfter)
	if !a.normal() {
		*a = a.Normal()
	}
	return nil
}

// normaliseJSON makes raw canonical. An absent value and null are one thing, written by leaving it out.
func normaliseJSON(raw *json.RawMessage) error {
	if len(*raw) == 0 || string(*raw) == "null" {
		*raw = nil
		return nil
	}
	out, err := canon.JSON(*raw)
	if err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	*raw = out
	return nil
}

// encoded is how a record travels inside other JSON: both parts as the exact bytes.
type encoded struct {
	Envelope []byte `json:"envelope"`
	Body     []byte `json:"body,omitempty"`
}

// MarshalJSON writes the record's exact bytes.
func (r Record) MarshalJSON() ([]byte, error) { return json.Marshal(encoded{r.raw, r.body}) }

// UnmarshalJSON reads what MarshalJSON wrote, with the rules of Decode.
func (r *Record) UnmarshalJSON(data []byte) error {
	var e encoded
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("%w: syntax", errRecord)
	}
	out, err := Decode(e.Envelope, e.Body)
	if err != nil {
		return err
	}
	*r = out
	return nil
}
