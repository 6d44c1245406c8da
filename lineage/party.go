package lineage

import "time"

// Party is somebody whose identity was verified: a subject or an actor.
type Party struct {
	// ID is the name under which the party is known in tokens (sub, act.sub) and in policies. The zero value, an
	// empty ID, is nobody.
	ID string `json:"sub"`
	// Issuer is the namespace that vouches for ID: an OIDC issuer, a SPIFFE trust domain, or the boundary's own
	// issuer for a registered client.
	Issuer string `json:"iss,omitempty"`
	// Kind is "human", "agent" or "workload".
	Kind string `json:"kind,omitempty"`
}

// Same reports whether p and q are one party: equal in name and namespace. The zero Party is the same as nobody.
func (p Party) Same(q Party) bool {
	return p.ID != "" && p.ID == q.ID && p.Issuer == q.Issuer
}

// Session is what is known of the session behind a subject. It is carried along a chain unchanged: a derivation never
// raises the assurance of the session it came from.
type Session struct {
	// Kind says who sits behind the subject: "human", "agent" or "workload".
	Kind string `json:"kind,omitempty"`
	// ID is the identity provider's session id (sid), by which the session can be cut.
	ID string `json:"sid,omitempty"`
	// AuthTime is when the subject last authenticated; zero where the credential did not say.
	AuthTime time.Time `json:"auth_time,omitzero"`
	// ACR and AMR are the authentication context and methods that the credential stated.
	ACR string   `json:"acr,omitempty"`
	AMR []string `json:"amr,omitempty"`
}
