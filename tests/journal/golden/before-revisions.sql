BEGIN TRANSACTION;
CREATE TABLE canary_events (
	rollout VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	epoch INTEGER NOT NULL, 
	type VARCHAR NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (rollout, seq), 
	FOREIGN KEY(rollout) REFERENCES canary_rollouts (id)
);
INSERT INTO "canary_events" VALUES('r1',1,1790000000.0,1,'noted','{"number":1}');
INSERT INTO "canary_events" VALUES('r1',2,1790000001.0,1,'noted','{"number":2}');
CREATE TABLE canary_locks (
	service VARCHAR NOT NULL, 
	rollout VARCHAR, 
	epoch INTEGER NOT NULL, 
	holder VARCHAR NOT NULL, 
	lease_until DOUBLE NOT NULL, 
	PRIMARY KEY (service)
);
INSERT INTO "canary_locks" VALUES('shop','r1',1,'host:1',1790000020.0);
CREATE TABLE canary_plans (
	number INTEGER NOT NULL, 
	hash VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	service VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (hash)
);
INSERT INTO "canary_plans" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','spring','shop','{}');
CREATE TABLE canary_rollouts (
	number INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "canary_rollouts" VALUES(1,'r1');
CREATE TABLE canary_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "canary_schema" VALUES(1);
CREATE TABLE canary_vault (
	rollout VARCHAR NOT NULL, 
	sealed TEXT NOT NULL, 
	PRIMARY KEY (rollout)
);
INSERT INTO "canary_vault" VALUES('r1','gAAAAABrBGwUxn0Psv4TG2qX4ewgeTO_QWKgUQFmt-4I8Eg7LyYBfFxCIVmyxisAdePib59ufChNzcVXmxc6dLIrWD7jSn4uNw3vJWINvAaeAlYu0VRIeKs6ygbMOTPb-8cuYdeyoqQZ');
CREATE INDEX ix_canary_plans_name ON canary_plans (name);
COMMIT;
