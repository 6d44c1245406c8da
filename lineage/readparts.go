package lineage

func (r reader) party() (p Party) {
	r.Want("{")
	p.ID = required(r, "sub", reader.Written)
	p.Issuer = optional(r, "iss", reader.Written)
	p.Kind = optional(r, "kind", reader.Written)
	r.Want("}")
	return p
}

func (r reader) session() (s Session) {
	r.Want("{")
	s.Kind = optional(r, "kind", reader.Written)
	s.ID = optional(r, "sid", reader.Written)
	s.AuthTime = optional(r, "auth_time", reader.moment)
	s.ACR = optional(r, "acr", reader.Written)
	s.AMR = r.optionalTexts("amr")
	r.Want("}")
	return s
}

func (r reader) task() (t Task) {
	r.Want("{")
	t.ID = optional(r, "id", reader.id)
	t.Purpose = required(r, "purpose", reader.Written)
	t.Context = r.optionalRaw("context")
	t.Deadline = required(r, "deadline", reader.moment)
	t.Budget = optional(r, "budget", reader.natural)
	t.Authority = pointer(r, "authority", reader.authority)
	r.Want("}")
	return t
}

func (r reader) requested() (q Requested) {
	r.Want("{")
	q.Resources = r.optionalTexts("resources")
	q.Scopes = r.optionalTexts("scopes")
	q.Lifetime = optional(r, "lifetime_ns", reader.duration)
	q.Details = r.optionalRaw("details")
	q.Deferrable = r.isTrue("deferrable")
	r.Want("}")
	return q
}

func (r reader) authority() (a Authority) {
	r.Want("{")
	a.Access = optionalList(r, "access", reader.access)
	a.Details = optionalList(r, "details", reader.raw)
	a.NotAfter = optional(r, "not_after", reader.moment)
	a.Depth = optional(r, "depth", reader.integer)
	r.Want("}")
	r.hold(r.Err() == nil && a.normal())
	return a
}

func (r reader) access() (a Access) {
	r.Want("{")
	a.Resource = required(r, "resource", reader.Written)
	a.Scopes = required(r, "scopes", reader.list)
	r.Want("}")
	return a
}

func (r reader) reason() (x Reason) {
	r.Want("{")
	x.Resource = optional(r, "resource", reader.Written)
	x.Scope = optional(r, "scope", reader.Written)
	x.Granted = r.isTrue("granted")
	x.Rule = optional(r, "rule", reader.Written)
	x.Why = optional(r, "why", reader.Written)
	x.Delegates = r.optionalTexts("delegates")
	x.Refresh = r.isTrue("refresh")
	x.Deliver = r.isTrue("deliver")
	r.Want("}")
	return x
}

func (r reader) deferred() (d Deferred) {
	r.Want("{")
	d.Digest = required(r, "digest", reader.Written)
	d.Wants = required(r, "wants", func(r reader) []Obligation { return list(r, reader.obligation) })
	d.Lifetime = optional(r, "lifetime_ns", reader.duration)
	d.Task = pointer(r, "task", reader.askedTask)
	r.Want("}")
	return d
}

func (r reader) askedTask() (t AskedTask) {
	r.Want("{")
	t.MaxDerivations = pointer(r, "max_derivations", reader.natural)
	t.Authority = optionalList(r, "authority", reader.access)
	r.Want("}")
	return t
}

func (r reader) obligation() (o Obligation) {
	r.Want("{")
	o.Kind = required(r, "kind", reader.Written)
	o.Scopes = required(r, "scopes", reader.list)
	o.Args = optionalTable(r, "args", reader.Written)
	r.Want("}")
	return o
}

func (r reader) approved() (a Approved) {
	r.Want("{")
	a.ID = required(r, "id", reader.id)
	a.By = optional(r, "by", reader.Written)
	a.Person = optional(r, "person", reader.Written)
	a.At = optional(r, "at", reader.moment)
	a.Groups = r.optionalTexts("groups")
	r.Want("}")
	return a
}

func (r reader) lease() (l Lease) {
	r.Want("{")
	l.By = required(r, "by", reader.Written)
	l.Deliver = r.isTrue("deliver")
	r.Want("}")
	return l
}

func (r reader) shadow() (s Shadow) {
	r.Want("{")
	s.Policy = required(r, "policy", reader.Written)
	s.Path = optional(r, "path", reader.Written)
	s.Lost = optionalList(r, "lost", reader.reason)
	s.Gained = optionalList(r, "gained", reader.reason)
	s.Lifetime = optional(r, "lifetime_ns", reader.duration)
	r.Want("}")
	return s
}
