package lineage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// FormatVersion is the version of the encoding that Seal writes. A reader refuses a version it does not know.
const FormatVersion = 1

// Kind says what a record stands for.
type Kind string

// The kinds of record.
const (
	KindToken    Kind = "token"    // a token that was allowed
	KindTask     Kind = "task"     // a task; everything made for it descends from this record
	KindGrant    Kind = "grant"    // a refresh family; every token refreshed in it descends from this record
	KindApproval Kind = "approval" // a request that waits for an approval or a step-up; nothing descends from it
	KindLease    Kind = "lease"    // a credential of another system that a broker holds for a token; nothing descends from it
	KindDenial   Kind = "denial"   // a request that was refused, or a token that would not be issued any more
)

var kinds = []Kind{KindToken, KindTask, KindGrant, KindApproval, KindLease, KindDenial}

// Envelope is the part of a record that its ID is the hash of.
type Envelope struct {
	Version int    `json:"v"`
	Kind    Kind   `json:"kind"`
	Issuer  string `json:"iss"` // the boundary's own issuer: one issuer is one tenant
	// Parents are the records this one was made from, the subject's first. Today a record has at most one.
	Parents []ID `json:"parents,omitempty"`
	// Ancestors are all records above this one, root first; at most 16: for each parent in order, its ancestors and
	// then itself, each record once.
	Ancestors []ID `json:"ancestors,omitempty"`
	// Grant is the root grant; zero in the record that is the root itself. See Record.Root.
	Grant ID `json:"grant,omitzero"`
	// IssuedAt is when the decision was made, ExpiresAt when what it allowed ends (zero in a denial).
	IssuedAt  time.Time `json:"iat"`
	ExpiresAt time.Time `json:"exp,omitzero"`
	// Since is the time of the oldest outside evidence behind the record: a revocation counts it as the time of
	// issue. It is never later than IssuedAt.
	Since time.Time `json:"since"`
	// Policy is the version of the policy set that decided.
	Policy string `json:"policy,omitempty"`
	// Digest is the SHA-256 of the body's bytes, which hold a random salt, so that an erased body cannot be guessed.
	Digest ID `json:"body"`
}

// Body is the part of a record that says who, what and why. It may be erased once nothing derived from it is live;
// the chain then still verifies. It never holds a credential.
type Body struct {
	Salt []byte `json:"salt"`
	// Client is the authenticated OAuth client; ClientKind its registered kind, ClientGroups its groups at that time.
	Client       string   `json:"client"`
	ClientKind   string   `json:"client_kind,omitempty"`
	ClientGroups []string `json:"client_groups,omitempty"`
	// Subject is whose authority this is; Actors is the actor chain, the current actor first.
	Subject    Party    `json:"subject,omitzero"`
	Actors     []Party  `json:"actors,omitempty"`
	Session    Session  `json:"session"`
	GrantType  string   `json:"grant_type"`
	Connection string   `json:"connection,omitempty"`
	Paths      []string `json:"paths,omitempty"` // the policy paths that decided; one, except for a task over several
	Task       *Task    `json:"task,omitempty"`
	// Requested is what was asked for, in canonical form; Granted what was allowed; Audience what the token is for.
	Requested Requested `json:"requested"`
	Granted   Authority `json:"granted"`
	Audience  []string  `json:"aud,omitempty"`
	// Reasons says, per resource and scope, which rule granted it or why it was dropped.
	Reasons  []Reason `json:"reasons,omitempty"`
	Controls []string `json:"controls,omitempty"`
	// ActorToken is the id of the token of ours that the actor presented, if it did: what was made with it dies with
	// it. Its selectors are among Selectors.
	ActorToken ID `json:"actor_token,omitzero"`
	// Key is the id (kid) of the key that the token is signed with; empty where a host mints.
	Key string `json:"kid,omitempty"`
	// Bound is the thumbprint (RFC 7638) of the key that whoever uses the token must prove (RFC 9449); empty for a
	// bearer token.
	Bound string `json:"jkt,omitempty"`
	// Recheck, where positive, is for how long what was decided may be relied on without asking again.
	Recheck time.Duration `json:"recheck_ns,omitempty"`
	// Deferred is set in an approval: what is waited for.
	Deferred *Deferred `json:"deferred,omitempty"`
	// Approved is set where the record answers a deferred request. Cutting that request cuts what it released.
	Approved *Approved `json:"approved,omitempty"`
	// Lease is set in a lease, and in the denial of one: who holds it, and whether it may be shown.
	Lease *Lease `json:"lease,omitempty"`
	// Code is the OAuth error code of a denial.
	Code string `json:"code,omitempty"`
	// Facts are the versions of the changeable facts that the decision read.
	Facts map[string]uint64 `json:"facts,omitempty"`
	// Selectors are those of this record and of every ancestor, except the ones that the envelope implies. Use
	// Record.Selectors.
	Selectors []Selector `json:"selectors,omitempty"`
	// Shadow is set where a policy set on trial would have decided otherwise.
	Shadow *Shadow `json:"shadow,omitempty"`
	// Unconfirmed marks a decision handed to a host that cannot report what it did with it.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
}

// Shadow is what a policy set on trial would have decided otherwise, beside the one in force. It had no effect.
type Shadow struct {
	// Policy is the version of the set on trial.
	Policy string `json:"policy"`
	// Path is the policy path that would have decided, where it is another one.
	Path string `json:"path,omitempty"`
	// Lost are the scopes that the policy in force grants and the one on trial does not, or only under an obligation,
	// each with its reason; Gained those that only the one on trial grants, each with its rule. What stands above the
	// token is not in either.
	Lost   []Reason `json:"lost,omitempty"`
	Gained []Reason `json:"gained,omitempty"`
	// Lifetime is the longest that it would have allowed, where that is less.
	Lifetime time.Duration `json:"lifetime_ns,omitempty"`
}

// Requested is a request in canonical form. Everything a re-decision or a replay needs is in it.
type Requested struct {
	Resources []string        `json:"resources,omitempty"`
	Scopes    []string        `json:"scopes,omitempty"`
	Lifetime  time.Duration   `json:"lifetime_ns,omitempty"`
	Details   json.RawMessage `json:"details,omitempty"`
	// Deferrable is set where the client accepted to wait for an approval or a step-up.
	Deferrable bool `json:"deferrable,omitempty"`
}

// Task is what a record says of the task it belongs to.
type Task struct {
	// ID is the id of the task's record; zero in that record itself.
	ID       ID              `json:"id,omitzero"`
	Purpose  string          `json:"purpose"`
	Context  json.RawMessage `json:"context,omitempty"`
	Deadline time.Time       `json:"deadline"`
	// Budget is how many tokens may be derived under the task.
	Budget uint64 `json:"budget,omitempty"`
	// Authority is set in the task's record and in a task token, which stands for the task: what is derived from it
	// narrows from here, not from the token's own grant. In the denial of a request for a task, which has no ID, it is
	// what was listed, if it was.
	Authority *Authority `json:"authority,omitempty"`
}

// Deferred is what a request waits for, and what of it the rest of the record does not say.
type Deferred struct {
	// Digest identifies exactly what is to be approved: who asks, for whom, by which way, and for what.
	Digest string `json:"digest"`
	// Wants are the obligations that were not met.
	Wants []Obligation `json:"wants"`
	// Lifetime is how long the token would live at most.
	Lifetime time.Duration `json:"lifetime_ns,omitempty"`
	// Task is the task that was asked for with the request, if one was.
	Task *AskedTask `json:"task,omitempty"`
}

// AskedTask is a task that was asked for and is not started yet. Its purpose, context and deadline stand in Body.Task.
type AskedTask struct {
	// MaxDerivations is the budget that was asked for; nil: none in particular.
	MaxDerivations *uint64 `json:"max_derivations,omitempty"`
	// Authority is what it was asked to do where it spans several resources.
	Authority []Access `json:"authority,omitempty"`
}

// Obligation is something that must happen before the scopes it names may be released. Scopes under an obligation
// that is not met are not granted.
type Obligation struct {
	Kind   string            `json:"kind"` // "approval" (args: by) or "step_up" (args: acr, max_age in seconds)
	Scopes []string          `json:"scopes"`
	Args   map[string]string `json:"args,omitempty"`
}

// Approved names the deferred request that a record answers, and who agreed to it.
type Approved struct {
	ID     ID        `json:"id"`               // of the request's record
	By     string    `json:"by,omitempty"`     // the operator's client; empty for a step-up
	Person string    `json:"person,omitempty"` // whom that client stands for
	At     time.Time `json:"at,omitzero"`      // zero in a refusal, to which nobody agreed
	// Groups are the groups that it was asked of.
	Groups []string `json:"groups,omitempty"`
}

// Lease is what a record says of a credential that a broker holds for a token.
type Lease struct {
	// By is the client that holds it. Cutting that client cuts the lease.
	By string `json:"by"`
	// Deliver says that the credential was asked for to leave the broker. Where it is not set, only the broker uses it.
	Deliver bool `json:"deliver,omitempty"`
}

// Reason says why one scope at one resource was granted or dropped.
type Reason struct {
	Resource string `json:"resource,omitempty"`
	Scope    string `json:"scope,omitempty"`
	Granted  bool   `json:"granted,omitempty"`
	// Rule names the policy rule that decided, as path#rule; empty where the boundary itself did.
	Rule string `json:"rule,omitempty"`
	// Why is for the operator. It never reaches the OAuth client.
	Why string `json:"why,omitempty"`
	// Delegates are the clients, besides the one it was issued to, that may derive this scope from the token.
	Delegates []string `json:"delegates,omitempty"`
	// Refresh says that the rule lets the scope be granted again and again by a refresh token.
	Refresh bool `json:"refresh,omitempty"`
	// Deliver says that the rule lets a credential that is leased for the scope leave the broker.
	Deliver bool `json:"deliver,omitempty"`
}

// Record is one decision and what it came from. It is immutable: treat its slices and pointers as read-only.
type Record struct {
	Envelope
	Body *Body // nil once erased
	id   ID
	raw  []byte
	body []byte

	selectors []Selector
}

var errRecord = errors.New("lineage: not a record")

// Seal makes a record of an envelope and a body: it sets version, salt, digest and address. The record shares what the
// two point to.
func Seal(env Envelope, body Body) (Record, error) {
	body.Salt = make([]byte, saltSize)
	rand.Read(body.Salt) //nolint:errcheck // never fails (crypto/rand)
	if err := body.normalise(); err != nil {
		return Record{}, err
	}
	rawBody, err := body.encode()
	if err != nil {
		return Record{}, err
	}
	env.Version, env.Digest = FormatVersion, sha256.Sum256(rawBody)
	if err := env.normalise(); err != nil {
		return Record{}, err
	}
	raw, err := env.encode()
	switch {
	case err != nil:
		return Record{}, err
	case len(raw) > maxEnvelope || len(rawBody) > maxBody:
		return Record{}, errSize
	}
	r := Record{Envelope: env, Body: &body, id: IDOf(raw), raw: raw, body: rawBody}
	if err := errors.Join(env.check(), r.checkBody()); err != nil {
		return Record{}, err
	}
	r.selectors = r.allSelectors()
	return r, nil
}

// ID returns the record's address.
func (r Record) ID() ID { return r.id }

// Raw returns the envelope's bytes, those that the address is the hash of. The caller must not change them.
func (r Record) Raw() []byte { return r.raw }

// RawBody returns the body's bytes, or nil once it was erased. The caller must not change them.
func (r Record) RawBody() []byte { return r.body }

// Root returns the id of the root grant, which is the record's own where it is the root.
func (r Record) Root() ID {
	if r.Grant.IsZero() {
		return r.id
	}
	return r.Grant
}

// TaskID returns the id of the innermost task the record belongs to, itself included; zero where there is none.
func (r Record) TaskID() ID {
	switch {
	case r.Kind == KindTask:
		return r.id
	case r.Body != nil && r.Body.Task != nil:
		return r.Body.Task.ID
	}
	return ID{}
}

// Derivable returns the authority that a child of r narrows from: the task's where r is a task or a task token, else
// what r itself was granted. An erased record has none.
func (r Record) Derivable() Authority {
	switch {
	case r.Body == nil:
		return Authority{}
	case r.Body.Task != nil && r.Body.Task.Authority != nil:
		return *r.Body.Task.Authority
	}
	return r.Body.Granted
}

// Selectors returns every selector by which the record can be cut, sorted: its own, its ancestors', and those that
// the envelope implies. A child starts from this set. The caller must not change it.
func (r Record) Selectors() []Selector { return r.selectors }

func (r Record) allSelectors() []Selector {
	var carried []Selector
	if r.Body != nil {
		carried = r.Body.Selectors
	}
	own := r.id.String()
	var room [4]Selector
	implied := room[:0]
	for _, id := range r.Ancestors {
		implied = unless(implied, carried, SelectToken, id)
	}
	implied = append(implied, Selector{SelectToken, own})
	switch {
	case r.Kind == KindDenial || r.Kind == KindApproval:
	case r.Grant.IsZero():
		implied = append(implied, Selector{SelectGrant, own})
	default:
		implied = unless(implied, carried, SelectGrant, r.Grant)
	}
	if r.Kind == KindTask {
		implied = append(implied, Selector{SelectTask, own})
	}
	return merged(sorted(implied), carried)
}

// unless appends the selector of an id to list, unless it is among carried: a record carries its parent's, mostly.
func unless(list, carried []Selector, kind string, id ID) []Selector {
	var room [43]byte
	text := id.append(room[:0])
	for _, s := range carried {
		if s.Kind == kind && s.Value == string(text) {
			return list
		}
	}
	return append(list, Selector{kind, string(text)})
}

// Erase returns the record without its body.
func (r Record) Erase() Record {
	r.Body, r.body = nil, nil
	r.selectors = r.allSelectors()
	return r
}

// Equal reports whether two records are the same bytes.
func (r Record) Equal(o Record) bool {
	return r.id == o.id && slices.Equal(r.raw, o.raw) && slices.Equal(r.body, o.body)
}

func (e Envelope) check() error {
	switch {
	case e.Version != FormatVersion:
		return errVersion
	case !slices.Contains(kinds, e.Kind):
		return fmt.Errorf("%w: unknown kind", errRecord)
	case canon.Name(e.Issuer) != nil:
		return fmt.Errorf("%w: no issuer", errRecord)
	case e.Digest.IsZero() || e.IssuedAt.IsZero() || e.Since.IsZero() || e.Since.After(e.IssuedAt):
		return fmt.Errorf("%w: digest or times", errRecord)
	case len(e.Ancestors) > canon.MaxChain || (len(e.Ancestors) > 0) != !e.Grant.IsZero():
		return fmt.Errorf("%w: ancestors", errRecord)
	case (len(e.Ancestors) > 0) != (len(e.Parents) > 0) || repeats(e.Ancestors) || repeats(e.Parents):
		return fmt.Errorf("%w: ancestors or parents", errRecord)
	case len(e.Ancestors) > 0 && e.Ancestors[0] != e.Grant:
		return fmt.Errorf("%w: the first ancestor is not the root grant", errRecord)
	case e.Kind != KindDenial && !e.ExpiresAt.After(e.IssuedAt):
		return fmt.Errorf("%w: expires before it is issued", errRecord)
	}
	for _, p := range e.Parents {
		if !slices.Contains(e.Ancestors, p) {
			return fmt.Errorf("%w: a parent is not an ancestor", errRecord)
		}
	}
	return nil
}

// repeats reports whether ids names something twice, or nothing.
func repeats(ids []ID) bool {
	for i, id := range ids {
		if id.IsZero() || slices.Contains(ids[:i], id) {
			return true
		}
	}
	return false
}
