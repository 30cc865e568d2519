/* A user agent of Sofia-SIP's nua that does what it is told on stdin, and tells on stdout what happens:
 * one JSON object a line. It makes no sound: its session descriptions name a port that nobody serves.
 *
 *   agent URL [OPTION=VALUE]...       the address to listen on, sip:bob@127.0.0.1:5060
 *
 * Options:  rel=1  provisional responses are reliable     auth=FILE      ask callers who they are: user:password:
 *           expires=S  min-se=S  refresher=local|remote   session timers
 *           offerless=1  calls leave the offer to the peer    rtp=PORT       what descriptions name instead of 16990
 *
 * Commands, CALL being the number that an event tells, in the order of their birth, from 1:
 *   invite URL [HEADER: VALUE]        respond CALL CODE [sdp]      update CALL PORT
 *   reinvite CALL                     asks the peer of CALL for an offer
 *   refresh CALL local|remote         refreshes the session; who is to do it from then on
 *   bye CALL                          password CALL REALM USER PASSWORD
 *   transfer CALL URL [OTHER-CALL]    asks the peer of CALL to call URL, in place of OTHER-CALL
 *   subscribe URL EVENT               unsubscribe CALL
 *   notify CALL TYPE BODY
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sofia-sip/nua.h>
#include <sofia-sip/auth_module.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/su_wait.h>

enum { MAX_CALLS = 64, MAX_LINE = 4096 };

static su_home_t home[1] = {SU_HOME_INIT(home)};
static su_root_t *root;
static nua_t *nua;
static auth_mod_t *guard;
static char const *own_url;
static int is_offerless;
static int rtp_port = 16990;
static nua_handle_t *calls[MAX_CALLS];
static int call_count;

/* What nua_handle_bind keeps with a handle: its number. */
static nua_hmagic_t *magic_of(int number)
{
    return (nua_hmagic_t *)(intptr_t)number;
}

static int add_call(nua_handle_t *handle)
{
    if (call_count + 1 >= MAX_CALLS) {
        fprintf(stderr, "too many calls\n");
        exit(1);
    }
    calls[++call_count] = handle;
    nua_handle_bind(handle, magic_of(call_count));
    return call_count;
}

/* ---- what happens ---- */

static void tell_text(char const *name, char const *text)
{
    printf(",\"%s\":\"", name);
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            printf("\\%c", byte);
        else if (byte < 0x20)
            printf("\\u%04x", byte);
        else
            putchar(byte);
    }
    putchar('"');
}

static void tell_header(char const *name, void const *header)
{
    if (header == NULL)
        return;
    char *text = sip_header_as_string(home, (sip_header_t *)header);
    if (text != NULL) {
        tell_text(name, text);
        su_free(home, text);
    }
}

static void tell(nua_event_t event, int status, char const *phrase, int call, sip_t const *sip,
                 tagi_t tags[])
{
    char const *local = NULL, *remote = NULL;
    int state = -1, substate = -1;

    printf("{\"event\":\"%s\",\"call\":%d,\"status\":%d", nua_event_name(event), call, status);
    tell_text("phrase", phrase ? phrase : "");
    tl_gets(tags, NUTAG_CALLSTATE_REF(state), NUTAG_SUBSTATE_REF(substate),
            SOATAG_LOCAL_SDP_STR_REF(local), SOATAG_REMOTE_SDP_STR_REF(remote), TAG_END());
    if (event == nua_i_state && state >= 0)
        tell_text("state", nua_callstate_name((enum nua_callstate)state));
    if (substate >= 0)
        tell_text("substate", nua_substate_name((enum nua_substate)substate));
    if (local != NULL)
        tell_text("local", local);
    if (remote != NULL)
        tell_text("remote", remote);
    if (sip != NULL) {
        tell_header("rseq", sip->sip_rseq);
        tell_header("rack", sip->sip_rack);
        tell_header("require", sip->sip_require);
        tell_header("session_expires", sip->sip_session_expires);
        tell_header("min_se", sip->sip_min_se);
        tell_header("reason", sip->sip_reason);
        tell_header("replaces", sip->sip_replaces);
        tell_header("refer_to", sip->sip_refer_to);
        tell_header("referred_by", sip->sip_referred_by);
        tell_header("subscription_state", sip->sip_subscription_state);
        if (sip->sip_payload != NULL && sip->sip_payload->pl_data != NULL)
            tell_text("body", sip->sip_payload->pl_data);
    }
    printf("}\n");
    fflush(stdout);
}

/* ---- who asks ---- */

/* Says whether a request shows who sends it; if not, it is answered. */
static int is_known(nua_handle_t *handle, sip_t const *sip)
{
    static auth_challenger_t const challenger[1] = {
        {401, sip_401_Unauthorized, sip_www_authenticate_class, sip_authentication_info_class}};

    if (guard == NULL)
        return 1;
    auth_status_t *status = auth_status_new(home);
    if (status == NULL)
        exit(1);
    status->as_method = sip->sip_request->rq_method_name;
    status->as_uri = url_as_string(status->as_home, sip->sip_request->rq_url);
    status->as_source = msg_addrinfo(nua_current_request(nua));
    status->as_realm = "sofia.test";
    auth_mod_check_client(guard, status, sip->sip_authorization, challenger);
    int known = status->as_status == 0;
    if (!known)
        nua_respond(handle, status->as_status, status->as_phrase, NUTAG_WITH_THIS(nua),
                    SIPTAG_HEADER((sip_header_t *)status->as_response), TAG_END());
    auth_status_unref(status);
    return known;
}

static void describe(char *text, size_t size, int port)
{
    snprintf(text, size, "v=0\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n",
             port);
}

/* Calls whom a transferor wants to be called, in place of the call that it names (RFC 3891). */
static void follow(nua_handle_t *transferor, sip_t const *sip, tagi_t tags[])
{
    char text[512];
    sip_event_t const *event = NULL;
    sip_replaces_t *replaces = NULL;
    url_t *target = url_hdup(home, sip->sip_refer_to->r_url);

    tl_gets(tags, NUTAG_REFER_EVENT_REF(event), TAG_END());
    if (target->url_headers != NULL) {
        char *headers = url_query_as_header_string(home, target->url_headers);
        if (headers != NULL && strncasecmp(headers, "Replaces:", 9) == 0)
            replaces = sip_replaces_make(home, headers + 9);
        target->url_headers = NULL;
    }
    nua_handle_t *call = nua_handle(nua, NULL, NUTAG_URL(target), SIPTAG_TO_STR(url_as_string(home, target)), TAG_END());
    add_call(call);
    describe(text, sizeof text, rtp_port);
    nua_invite(call, NUTAG_NOTIFY_REFER(transferor), NUTAG_REFER_EVENT(event),
               SIPTAG_REFERRED_BY(sip->sip_referred_by), TAG_IF(replaces, SIPTAG_REPLACES(replaces)),
               SOATAG_USER_SDP_STR(text), TAG_END());
}

/* Takes a call in place of the one that it names, and hangs that one up; says whether it names one. */
static int take_over(nua_handle_t *call, sip_t const *sip)
{
    char text[512];
    nua_handle_t *replaced = sip->sip_replaces ? nua_handle_by_replaces(nua, sip->sip_replaces) : NULL;

    if (sip->sip_replaces == NULL)
        return 0;
    if (replaced == NULL) {
        nua_respond(call, SIP_481_NO_TRANSACTION, TAG_END());
        return 1;
    }
    describe(text, sizeof text, rtp_port);
    nua_respond(call, SIP_200_OK, SOATAG_USER_SDP_STR(text), TAG_END());
    nua_bye(replaced, TAG_END());
    nua_handle_unref(replaced);
    return 1;
}

static void on_event(nua_event_t event, int status, char const *phrase, nua_t *nua_, nua_magic_t *magic,
                     nua_handle_t *handle, nua_hmagic_t *call_magic, sip_t const *sip, tagi_t tags[])
{
    int call = (int)(intptr_t)call_magic;

    (void)nua_;
    (void)magic;
    if (call == 0 && (event == nua_i_invite || event == nua_i_subscribe))
        call = add_call(handle);
    tell(event, status, phrase, call, sip, tags);
    switch (event) {
    case nua_i_invite:
        if (status < 200 && is_known(handle, sip) && !take_over(handle, sip) && guard != NULL) {
            printf("{\"event\":\"known\",\"call\":%d}\n", call);
            fflush(stdout);
        }
        break;
    case nua_i_refer:
        follow(handle, sip, tags);
        break;
    case nua_i_subscribe:
        if (status < 200)
            nua_respond(handle, SIP_202_ACCEPTED, NUTAG_WITH_THIS(nua), TAG_END());
        break;
    case nua_i_register:
        if (is_known(handle, sip))
            nua_respond(handle, SIP_200_OK, NUTAG_WITH_THIS(nua), SIPTAG_CONTACT(sip->sip_contact),
                        SIPTAG_EXPIRES_STR("600"), TAG_END());
        break;
    default:
        break;
    }
}

/* ---- what to do ---- */

static char *word(char **rest)
{
    char *begin = *rest + strspn(*rest, " ");
    char *end = begin + strcspn(begin, " ");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return begin;
}

static void obey(char *line)
{
    char text[512];
    char *verb = word(&line);

    if (strcmp(verb, "invite") == 0) {
        char *url = word(&line);
        nua_handle_t *handle = nua_handle(nua, NULL, SIPTAG_TO_STR(url), NUTAG_URL(url), TAG_END());
        describe(text, sizeof text, rtp_port);
        add_call(handle);
        nua_invite(handle, SOATAG_USER_SDP_STR(text), SOATAG_DELAYED_OFFER_ENABLE(is_offerless),
                   TAG_IF(*line, SIPTAG_HEADER_STR(line)), TAG_END());
        return;
    }
    if (strcmp(verb, "subscribe") == 0) {
        char *url = word(&line);
        nua_handle_t *handle = nua_handle(nua, NULL, SIPTAG_TO_STR(url), NUTAG_URL(url), TAG_END());
        add_call(handle);
        nua_subscribe(handle, SIPTAG_EVENT_STR(line), SIPTAG_EXPIRES_STR("600"), TAG_END());
        return;
    }
    int number = atoi(word(&line));
    if (number < 1 || number > call_count) {
        fprintf(stderr, "%s: no such call\n", verb);
        exit(1);
    }
    nua_handle_t *call = calls[number];
    if (strcmp(verb, "respond") == 0) {
        int code = atoi(word(&line));
        describe(text, sizeof text, rtp_port);
        nua_respond(call, code, sip_status_phrase(code), TAG_IF(*line, SOATAG_USER_SDP_STR(text)), TAG_END());
    } else if (strcmp(verb, "update") == 0) {
        describe(text, sizeof text, atoi(line));
        nua_update(call, SOATAG_USER_SDP_STR(text), TAG_END());
    } else if (strcmp(verb, "reinvite") == 0) {
        nua_invite(call, SOATAG_DELAYED_OFFER_ENABLE(1), TAG_END());
    } else if (strcmp(verb, "refresh") == 0) {
        int is_local = strcmp(line, "local") == 0;
        nua_set_hparams(call, NUTAG_SESSION_REFRESHER(is_local ? nua_local_refresher : nua_remote_refresher), TAG_END());
        nua_update(call, TAG_END());
    } else if (strcmp(verb, "transfer") == 0) {
        char *url = word(&line);
        sip_refer_to_t to[1];
        sip_refer_to_init(to);
        *to->r_url = *url_hdup(home, (url_t const *)url);
        if (*line) {
            sip_replaces_t *replaces = nua_handle_make_replaces(calls[atoi(line)], home, 0);
            to->r_url->url_headers = sip_headers_as_url_query(home, SIPTAG_REPLACES(replaces), TAG_END());
        }
        nua_refer(call, SIPTAG_REFER_TO(to), SIPTAG_REFERRED_BY_STR(own_url), TAG_END());
    } else if (strcmp(verb, "bye") == 0) {
        nua_bye(call, TAG_END());
    } else if (strcmp(verb, "password") == 0) {
        char *realm = word(&line), *user = word(&line);
        snprintf(text, sizeof text, "Digest:\"%s\":%s:%s", realm, user, line);
        nua_authenticate(call, NUTAG_AUTH(text), TAG_END());
    } else if (strcmp(verb, "notify") == 0) {
        char *type = word(&line);
        nua_notify(call, NUTAG_SUBSTATE(nua_substate_active), SIPTAG_CONTENT_TYPE_STR(type),
                   SIPTAG_PAYLOAD_STR(line), TAG_END());
    } else if (strcmp(verb, "unsubscribe") == 0) {
        nua_unsubscribe(call, TAG_END());
    } else {
        fprintf(stderr, "%s: unknown\n", verb);
        exit(1);
    }
}

static int on_input(su_root_magic_t *magic, su_wait_t *wait, su_wakeup_arg_t *argument)
{
    static char bytes[MAX_LINE];
    static size_t length;
    ssize_t count = read(0, bytes + length, sizeof bytes - length);

    (void)magic;
    (void)wait;
    (void)argument;
    if (count <= 0)
        exit(0);
    length += (size_t)count;
    for (char *end; (end = memchr(bytes, '\n', length)) != NULL;) {
        *end = '\0';
        obey(bytes);
        length -= (size_t)(end + 1 - bytes);
        memmove(bytes, end + 1, length);
    }
    return 0;
}

static char const *option(int count, char **words, char const *name)
{
    size_t length = strlen(name);
    for (int i = 2; i < count; i++)
        if (strncmp(words[i], name, length) == 0 && words[i][length] == '=')
            return words[i] + length + 1;
    return NULL;
}

int main(int count, char **words)
{
    su_wait_t input[1];

    if (count < 2) {
        fprintf(stderr, "agent URL [OPTION=VALUE]...\n");
        return 1;
    }
    own_url = words[1];
    if (su_init() != 0 || (root = su_root_create(NULL)) == NULL)
        return 1;
    su_root_threading(root, 0);
    nua = nua_create(root, on_event, NULL, NUTAG_URL(own_url), SIPTAG_FROM_STR(own_url),
                     SIPTAG_USER_AGENT_STR("sofia"), TAG_END());
    if (nua == NULL) {
        fprintf(stderr, "cannot listen on %s\n", own_url);
        return 1;
    }
    char const *expires = option(count, words, "expires"), *min_se = option(count, words, "min-se");
    char const *refresher = option(count, words, "refresher"), *users = option(count, words, "auth");
    int is_local = refresher != NULL && strcmp(refresher, "local") == 0;
    is_offerless = option(count, words, "offerless") != NULL;
    if (option(count, words, "rtp") != NULL)
        rtp_port = atoi(option(count, words, "rtp"));
    nua_set_params(nua, NUTAG_AUTOALERT(0), NUTAG_AUTOANSWER(0), NUTAG_ALLOW("REGISTER, SUBSCRIBE, NOTIFY, REFER"),
                   NUTAG_SUPPORTED("timer, 100rel, replaces"), NUTAG_ALLOW_EVENTS("presence"), NUTAG_APPL_METHOD("REGISTER"),
                   NUTAG_EARLY_MEDIA(option(count, words, "rel") != NULL),
                   TAG_IF(expires, NUTAG_SESSION_TIMER(expires ? (unsigned)atoi(expires) : 0)),
                   TAG_IF(min_se, NUTAG_MIN_SE(min_se ? (unsigned)atoi(min_se) : 0)),
                   TAG_IF(refresher, NUTAG_SESSION_REFRESHER(is_local ? nua_local_refresher : nua_remote_refresher)),
                   TAG_END());
    if (users != NULL) {
        guard = auth_mod_create(root, AUTHTAG_METHOD("Digest"), AUTHTAG_REALM("sofia.test"), AUTHTAG_QOP("auth"),
                                AUTHTAG_DB(users), TAG_END());
        if (guard == NULL)
            return 1;
    }
    if (su_wait_create(input, 0, SU_WAIT_IN) != 0 || su_root_register(root, input, on_input, NULL, 0) < 0)
        return 1;
    printf("{\"event\":\"listening\"}\n");
    fflush(stdout);
    su_root_run(root);
    return 0;
}
