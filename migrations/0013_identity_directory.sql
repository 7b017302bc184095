-- A number that grows with every change of organisations, users and ended tokens, by whatever means, so that
-- what is kept of them in memory is read anew only then.
CREATE TABLE directory_version (
    id {int} NOT NULL PRIMARY KEY CHECK (id = 1),
    version {int} NOT NULL
{table_end}
INSERT INTO directory_version (id, version) VALUES (1, 1);
{sqlite}
CREATE TRIGGER organisation_made AFTER INSERT ON organisation
BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER organisation_changed AFTER UPDATE ON organisation
BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER organisation_gone AFTER DELETE ON organisation
BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER app_user_made AFTER INSERT ON app_user
BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER app_user_changed AFTER UPDATE ON app_user
BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER app_user_gone AFTER DELETE ON app_user
BEGIN UPDATE directory_version SET version = version + 1; END;
CREATE TRIGGER revoked_token_made AFTER INSERT ON revoked_token
BEGIN UPDATE directory_version SET version = version + 1; END;
{end}
{postgres}
CREATE FUNCTION directory_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE directory_version SET version = version + 1; RETURN NULL; END $$;
CREATE TRIGGER organisation_changed AFTER INSERT OR UPDATE OR DELETE ON organisation
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER app_user_changed AFTER INSERT OR UPDATE OR DELETE ON app_user
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
CREATE TRIGGER revoked_token_made AFTER INSERT ON revoked_token
    FOR EACH STATEMENT EXECUTE FUNCTION directory_changed();
{end}

-- down
{sqlite}
DROP TRIGGER organisation_made;
DROP TRIGGER organisation_changed;
DROP TRIGGER organisation_gone;
DROP TRIGGER app_user_made;
DROP TRIGGER app_user_changed;
DROP TRIGGER app_user_gone;
DROP TRIGGER revoked_token_made;
{end}
{postgres}
DROP TRIGGER organisation_changed ON organisation;
DROP TRIGGER app_user_changed ON app_user;
DROP TRIGGER revoked_token_made ON revoked_token;
DROP FUNCTION directory_changed();
{end}
DROP TABLE directory_version;
