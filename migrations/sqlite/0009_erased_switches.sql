-- How many changes of switches an erased tenant took with it.
ALTER TABLE omnitrace_erasures ADD COLUMN switches INTEGER NOT NULL DEFAULT 0;
