package postgres

import "strings"

// statements are the SQL of a Store, with its schema's name in them. They keep to what PostgreSQL-compatible databases have:
// no procedure, no extension, no advisory lock, no division of whole numbers. docs/operations.md lists what they need.
//
// What a call names is looked up one by one in an index, whatever a planner believes of tables that it knows nothing of: LIMIT 1
// keeps it from joining the other way round, from trying each id with each time, and from expecting many rows.
type statements struct {
	bound, asked, number, enlist, lock, named, heads, marks string
	addRecords, addCarriers, putHeads, putMarks             string
	addRevocations, setClock, expired, forget, notify       string
	get, getMarks, getHeads, read                           string
	scan, place, feed, bounds                               string
}

const (
	headColumns = `h.key, h.version, h.state, h.value, h.count, h.expires`
	markColumns = `m.kind, m.value, m.cut, m.before, m.blocked, m.seq`
	// alive leaves out heads that the store time has left behind, whether their rows are there still or not.
	alive = ` WHERE (h.expires IS NULL OR h.expires >= (SELECT clock FROM {s}.issuers WHERE id = $1))`
	// sums are those that were asked for.
	sums = `unnest($2::bytea[]) AS x(sum)`
	// theirHeads and theirMarks are what is kept under sums.
	theirHeads = `, LATERAL (SELECT * FROM {s}.heads WHERE issuer = $1 AND sum = x.sum LIMIT 1) h`
	theirMarks = `, LATERAL (SELECT * FROM {s}.marks WHERE issuer = $1 AND sum = x.sum LIMIT 1) m`
	// carried are the sums of the selectors of some records.
	carried = `(SELECT DISTINCT substring(r.selectors FROM g FOR 32) AS sum FROM ` + ids + `, generate_series(1, length(r.selectors), 32) g) x`
	// ids are the records that were asked for.
	ids = `unnest($2::bytea[]) AS i(id), LATERAL (SELECT * FROM {s}.records WHERE issuer = $1 AND id = i.id LIMIT 1) r`
)

func statementsFor(schema string) statements {
	s := statements{
		bound:  `SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true)`,
		asked:  `SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true), (SELECT name FROM {s}.issuers WHERE id = $2)`,
		number: `SELECT id FROM {s}.issuers WHERE name = $1`,
		enlist: `INSERT INTO {s}.issuers (name, clock, seq) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING`,
		lock:   `SELECT clock, seq, name FROM {s}.issuers WHERE id = $1 FOR UPDATE`,
		named: `SELECT r.envelope, r.body FROM unnest($2::bytea[], $3::timestamptz[]) AS x(id, issued), LATERAL
			(SELECT envelope, body FROM {s}.records WHERE issuer = $1 AND id = x.id AND issued = x.issued LIMIT 1) r`,
		heads: `SELECT ` + headColumns + ` FROM ` + sums + theirHeads,
		marks: `SELECT ` + markColumns + ` FROM ` + sums + theirMarks,

		addRecords: `INSERT INTO {s}.records (issuer, id, issued, envelope, body, selectors)
			SELECT $1, * FROM unnest($2::bytea[], $3::timestamptz[], $4::bytea[], $5::bytea[], $6::bytea[])`,
		addCarriers: `INSERT INTO {s}.carriers (issuer, selector, issued, id)
			SELECT $1, * FROM unnest($2::bytea[], $3::timestamptz[], $4::bytea[]) ON CONFLICT DO NOTHING`,
		putHeads: `INSERT INTO {s}.heads (issuer, sum, key, version, state, value, count, expires)
			SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bytea[])
			ON CONFLICT (issuer, sum) DO UPDATE SET version = excluded.version, state = excluded.state, value = excluded.value,
			count = excluded.count, expires = excluded.expires`,
		putMarks: `INSERT INTO {s}.marks (issuer, sum, kind, value, cut, before, blocked, seq)
			SELECT $1, * FROM unnest($2::bytea[], $3::bytea[], $4::bytea[], $5::boolean[], $6::bytea[], $7::boolean[], $8::bigint[])
			ON CONFLICT (issuer, sum) DO UPDATE SET cut = excluded.cut, before = excluded.before, blocked = excluded.blocked, seq = excluded.seq`,
		addRevocations: `INSERT INTO {s}.revocations (issuer, seq, kind, value, action, at, before, reason, by)
			SELECT $1, * FROM unnest($2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[])`,
		setClock: `UPDATE {s}.issuers SET clock = $2, seq = $3 WHERE id = $1`,
		expired:  `SELECT sum, expires FROM {s}.heads WHERE issuer = $1 AND expires < $2 ORDER BY expires LIMIT 1000`,
		// the times say where to look
		forget: `DELETE FROM {s}.heads WHERE issuer = $1 AND sum = ANY($2) AND expires >= $3 AND expires <= $4`,
		notify: `SELECT pg_notify($1, $2)`,

		get:      `SELECT r.envelope, r.body FROM ` + ids,
		getMarks: `SELECT ` + markColumns + ` FROM ` + carried + theirMarks,
		getHeads: `SELECT ` + headColumns + ` FROM ` + carried + theirHeads + alive,
		read:     `SELECT ` + headColumns + ` FROM ` + sums + theirHeads + alive,

		scan: `SELECT r.envelope, r.body, r.issued, r.id FROM {s}.carriers c
			JOIN {s}.records r ON r.issuer = c.issuer AND r.id = c.id AND r.issued = c.issued
			WHERE c.issuer = $1 AND c.selector = $2 AND c.issued >= $3 AND (c.issued, c.id) > ($3, $4)
			ORDER BY c.issued, c.id LIMIT $5`,
		place: `SELECT issued FROM {s}.records WHERE issuer = $1 AND id = $2`,
		feed: `SELECT seq, kind, value, action, at, before, reason, by FROM {s}.revocations
			WHERE issuer = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
		bounds: `SELECT i.seq, (SELECT min(seq) FROM {s}.revocations WHERE issuer = $1) FROM {s}.issuers i WHERE i.id = $1`,
	}
	for _, field := range []*string{
		&s.bound, &s.asked, &s.number, &s.enlist, &s.lock, &s.named, &s.heads, &s.marks, &s.addRecords, &s.addCarriers, &s.putHeads, &s.putMarks,
		&s.addRevocations, &s.setClock, &s.expired, &s.forget, &s.notify, &s.get, &s.getMarks, &s.getHeads, &s.read, &s.scan, &s.place, &s.feed, &s.bounds,
	} {
		*field = strings.ReplaceAll(*field, "{s}", schema)
	}
	return s
}
