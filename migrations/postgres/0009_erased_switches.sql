-- How many changes of switches an erased tenant took with it.
ALTER TABLE omnitrace_erasures ADD COLUMN switches bigint NOT NULL DEFAULT 0;
