/*
 * Structures with the layouts that the vendor's certificate definitions had over the years, written for the tests from
 * the public facts: enough to compile exported definitions and compare them byte by byte. Not the vendor's file.
 *
 * ATCACERT_YEAR chooses the layout: 2016 (20160108) has no SNSRC_STORED_DYNAMIC and another number for
 * GeneralizedTime; 2018 adds ca_cert_def, not const (release of 2018-07-18); 2019 adds transforms and longer ids
 * (2019-05-17); 2024 (3.7.5) has 16-bit slot numbers and another order; 2026 adds std_sig_size (since 3.7.7).
 * ATCACERT_COMPCERT_EN 0 takes fields away and ATCACERT_INTEGRATION_EN 1 adds one, as in the vendor's since 3.7.7 at the latest.
 */
#ifndef ATCACERT_DEF_H
#define ATCACERT_DEF_H

#include <stdint.h>

#ifndef ATCACERT_YEAR
#define ATCACERT_YEAR 2026
#endif

typedef uint32_t four_byte_enum;
/* A one-byte type in the vendor's 3.8; an enumeration before. */
#if ATCACERT_YEAR >= 2024
typedef uint8_t date_format;
#else
typedef uint32_t date_format;
#endif

#if ATCACERT_YEAR >= 2019
#define ATCA_MAX_TRANSFORMS 2
#define ID_SIZE 25
#else
#define ID_SIZE 16
#endif
#if ATCACERT_YEAR >= 2024
#ifndef ATCACERT_COMPCERT_EN
#define ATCACERT_COMPCERT_EN 1
#endif
#ifndef ATCACERT_INTEGRATION_EN
#define ATCACERT_INTEGRATION_EN 0
#endif
#endif
#if ATCACERT_YEAR >= 2024
typedef uint16_t slot_number;
enum { CERTTYPE_X509 = 0, CERTTYPE_CUSTOM = 1, CERTTYPE_X509_FULL_STORED = 2 };
#else
typedef uint8_t slot_number;
enum { CERTTYPE_X509 = 0, CERTTYPE_CUSTOM = 1 };
#endif

enum {
    SNSRC_STORED = 0x0,
#if ATCACERT_YEAR >= 2017
    SNSRC_STORED_DYNAMIC = 0x7,
#endif
    SNSRC_DEVICE_SN = 0x8, SNSRC_SIGNER_ID = 0x9,
    SNSRC_PUB_KEY_HASH = 0xA, SNSRC_DEVICE_SN_HASH = 0xB, SNSRC_PUB_KEY_HASH_POS = 0xC,
    SNSRC_DEVICE_SN_HASH_POS = 0xD, SNSRC_PUB_KEY_HASH_RAW = 0xE, SNSRC_DEVICE_SN_HASH_RAW = 0xF
};
enum { DEVZONE_CONFIG = 0, DEVZONE_OTP = 1, DEVZONE_DATA = 2, DEVZONE_NONE = 7 };
#if ATCACERT_YEAR >= 2024
enum { DEVZONE_GENKEY = 3, DEVZONE_DEDICATED_DATA = 4 };
#endif
#ifdef ATCA_MAX_TRANSFORMS
enum {
    TF_NONE = 0, TF_REVERSE = 1, TF_BIN2HEX_UC = 2, TF_BIN2HEX_LC = 3, TF_HEX2BIN_UC = 4, TF_HEX2BIN_LC = 5,
    TF_BIN2HEX_SPACE_UC = 6, TF_BIN2HEX_SPACE_LC = 7, TF_HEX2BIN_SPACE_UC = 8, TF_HEX2BIN_SPACE_LC = 9
};
#endif
enum {
    DATEFMT_ISO8601_SEP = 0, DATEFMT_RFC5280_UTC = 1, DATEFMT_POSIX_UINT32_BE = 2,
#if ATCACERT_YEAR >= 2017
    DATEFMT_POSIX_UINT32_LE = 3, DATEFMT_RFC5280_GEN = 4
#else
    DATEFMT_RFC5280_GEN = 3
#endif
};
enum {
    STDCERT_PUBLIC_KEY, STDCERT_SIGNATURE, STDCERT_ISSUE_DATE, STDCERT_EXPIRE_DATE, STDCERT_SIGNER_ID,
    STDCERT_CERT_SN, STDCERT_AUTH_KEY_ID, STDCERT_SUBJ_KEY_ID, STDCERT_COUNT
};

#pragma pack(push, 1)
typedef struct {
    four_byte_enum zone;
    slot_number slot;
    uint8_t is_genkey;
    uint16_t offset;
    uint16_t count;
} atcacert_device_loc_t;

typedef struct {
    uint16_t offset;
    uint16_t count;
} atcacert_cert_loc_t;

typedef struct {
    char id[ID_SIZE];
    atcacert_device_loc_t device_loc;
    atcacert_cert_loc_t cert_loc;
#ifdef ATCA_MAX_TRANSFORMS
    four_byte_enum transforms[ATCA_MAX_TRANSFORMS];
#endif
} atcacert_cert_element_t;
#if ATCACERT_YEAR >= 2024
#pragma pack(pop)
#endif

typedef struct atcacert_def_s {
    four_byte_enum type;
#if ATCACERT_YEAR >= 2024
    atcacert_device_loc_t comp_cert_dev_loc;
    slot_number private_key_slot;
#if ATCACERT_COMPCERT_EN
    uint8_t template_id;
    uint8_t chain_id;
#endif
#else
    uint8_t template_id;
    uint8_t chain_id;
    slot_number private_key_slot;
#endif
#if ATCACERT_YEAR < 2024 || ATCACERT_COMPCERT_EN
#if ATCACERT_YEAR >= 2026
    uint16_t std_sig_size;
#endif
    four_byte_enum sn_source;
    atcacert_device_loc_t cert_sn_dev_loc;
    date_format issue_date_format;
    date_format expire_date_format;
    atcacert_cert_loc_t tbs_cert_loc;
    uint8_t expire_years;
    atcacert_device_loc_t public_key_dev_loc;
#if ATCACERT_YEAR < 2024
    atcacert_device_loc_t comp_cert_dev_loc;
#endif
    atcacert_cert_loc_t std_cert_elements[STDCERT_COUNT];
    const atcacert_cert_element_t *cert_elements;
    uint8_t cert_elements_count;
#endif
    const uint8_t *cert_template;
    uint16_t cert_template_size;
#if ATCACERT_YEAR >= 2019
    const struct atcacert_def_s *ca_cert_def;
#elif ATCACERT_YEAR == 2018
    struct atcacert_def_s *ca_cert_def;
#endif
#if ATCACERT_YEAR >= 2024 && ATCACERT_INTEGRATION_EN
    struct atcac_x509_ctx **parsed;
#endif
} atcacert_def_t;

#if ATCACERT_YEAR < 2024
#pragma pack(pop)
#endif

#endif
