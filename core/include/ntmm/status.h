/**
 * @file
 * NTSTATUS values, NT's to the bit. Which call returns which, and when, stands with the call.
 *
 * Source: public SDK headers; the list is the one of the memory manager's services.
 */
#ifndef NTMM_STATUS_H
#define NTMM_STATUS_H

/** @name NTSTATUS values
 * @{ */
#define NTMM_STATUS_SUCCESS 0x00000000u                  /**< NTSTATUS: success. */
#define NTMM_STATUS_TIMEOUT 0x00000102u                  /**< NTSTATUS: timeout. */
#define NTMM_STATUS_PENDING 0x00000103u                  /**< NTSTATUS: pending. */
#define NTMM_STATUS_MORE_ENTRIES 0x00000105u             /**< NTSTATUS: more entries. */
#define NTMM_STATUS_PAGE_FAULT_TRANSITION 0x00000110u    /**< NTSTATUS: page fault transition. */
#define NTMM_STATUS_PAGE_FAULT_DEMAND_ZERO 0x00000111u   /**< NTSTATUS: page fault demand zero. */
#define NTMM_STATUS_PAGE_FAULT_COPY_ON_WRITE 0x00000112u /**< NTSTATUS: page fault copy on write. */
#define NTMM_STATUS_PAGE_FAULT_GUARD_PAGE 0x00000113u    /**< NTSTATUS: page fault guard page. */
#define NTMM_STATUS_PAGE_FAULT_PAGING_FILE 0x00000114u   /**< NTSTATUS: page fault paging file. */
#define NTMM_STATUS_CACHE_PAGE_LOCKED 0x00000115u        /**< NTSTATUS: cache page locked. */
#define NTMM_STATUS_CRASH_DUMP 0x00000116u               /**< NTSTATUS: crash dump. */
#define NTMM_STATUS_BUFFER_ALL_ZEROS 0x00000117u         /**< NTSTATUS: buffer all zeros. */
/** NTSTATUS: resource requirements changed. */
#define NTMM_STATUS_RESOURCE_REQUIREMENTS_CHANGED 0x00000119u
#define NTMM_STATUS_OBJECT_NAME_EXISTS 0x40000000u      /**< NTSTATUS: object name exists. */
#define NTMM_STATUS_WORKING_SET_LIMIT_RANGE 0x40000002u /**< NTSTATUS: working set limit range. */
#define NTMM_STATUS_IMAGE_NOT_AT_BASE 0x40000003u       /**< NTSTATUS: image not at base. */
/** NTSTATUS: image machine type mismatch. */
#define NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH 0x4000000Eu
#define NTMM_STATUS_WAS_UNLOCKED 0x40000017u /**< NTSTATUS: was unlocked. */
#define NTMM_STATUS_WAS_LOCKED 0x40000019u   /**< NTSTATUS: was locked. */
/** NTSTATUS: image machine type mismatch exe. */
#define NTMM_STATUS_IMAGE_MACHINE_TYPE_MISMATCH_EXE 0x40000023u
#define NTMM_STATUS_IMAGE_AT_DIFFERENT_BASE 0x40000036u  /**< NTSTATUS: image at different base. */
#define NTMM_STATUS_GUARD_PAGE_VIOLATION 0x80000001u     /**< NTSTATUS: guard page violation. */
#define NTMM_STATUS_DATATYPE_MISALIGNMENT 0x80000002u    /**< NTSTATUS: datatype misalignment. */
#define NTMM_STATUS_BUFFER_OVERFLOW 0x80000005u          /**< NTSTATUS: buffer overflow. */
#define NTMM_STATUS_PARTIAL_COPY 0x8000000Du             /**< NTSTATUS: partial copy. */
#define NTMM_STATUS_NO_MORE_ENTRIES 0x8000001Au          /**< NTSTATUS: no more entries. */
#define NTMM_STATUS_REGISTRY_HIVE_RECOVERED 0x8000002Au  /**< NTSTATUS: registry hive recovered. */
#define NTMM_STATUS_UNSUCCESSFUL 0xC0000001u             /**< NTSTATUS: unsuccessful. */
#define NTMM_STATUS_NOT_IMPLEMENTED 0xC0000002u          /**< NTSTATUS: not implemented. */
#define NTMM_STATUS_INVALID_INFO_CLASS 0xC0000003u       /**< NTSTATUS: invalid info class. */
#define NTMM_STATUS_INFO_LENGTH_MISMATCH 0xC0000004u     /**< NTSTATUS: info length mismatch. */
#define NTMM_STATUS_ACCESS_VIOLATION 0xC0000005u         /**< NTSTATUS: access violation. */
#define NTMM_STATUS_IN_PAGE_ERROR 0xC0000006u            /**< NTSTATUS: in page error. */
#define NTMM_STATUS_PAGEFILE_QUOTA 0xC0000007u           /**< NTSTATUS: pagefile quota. */
#define NTMM_STATUS_INVALID_HANDLE 0xC0000008u           /**< NTSTATUS: invalid handle. */
#define NTMM_STATUS_BAD_INITIAL_STACK 0xC0000009u        /**< NTSTATUS: bad initial stack. */
#define NTMM_STATUS_INVALID_PARAMETER 0xC000000Du        /**< NTSTATUS: invalid parameter. */
#define NTMM_STATUS_END_OF_FILE 0xC0000011u              /**< NTSTATUS: end of file. */
#define NTMM_STATUS_NO_MEMORY 0xC0000017u                /**< NTSTATUS: no memory. */
#define NTMM_STATUS_CONFLICTING_ADDRESSES 0xC0000018u    /**< NTSTATUS: conflicting addresses. */
#define NTMM_STATUS_NOT_MAPPED_VIEW 0xC0000019u          /**< NTSTATUS: not mapped view. */
#define NTMM_STATUS_UNABLE_TO_FREE_VM 0xC000001Au        /**< NTSTATUS: unable to free vm. */
#define NTMM_STATUS_UNABLE_TO_DELETE_SECTION 0xC000001Bu /**< NTSTATUS: unable to delete section. */
#define NTMM_STATUS_INVALID_LOCK_SEQUENCE 0xC000001Eu    /**< NTSTATUS: invalid lock sequence. */
#define NTMM_STATUS_INVALID_VIEW_SIZE 0xC000001Fu        /**< NTSTATUS: invalid view size. */
#define NTMM_STATUS_INVALID_FILE_FOR_SECTION 0xC0000020u /**< NTSTATUS: invalid file for section. */
#define NTMM_STATUS_ALREADY_COMMITTED 0xC0000021u        /**< NTSTATUS: already committed. */
#define NTMM_STATUS_ACCESS_DENIED 0xC0000022u            /**< NTSTATUS: access denied. */
#define NTMM_STATUS_BUFFER_TOO_SMALL 0xC0000023u         /**< NTSTATUS: buffer too small. */
#define NTMM_STATUS_OBJECT_TYPE_MISMATCH 0xC0000024u     /**< NTSTATUS: object type mismatch. */
#define NTMM_STATUS_NOT_LOCKED 0xC000002Au               /**< NTSTATUS: not locked. */
#define NTMM_STATUS_UNABLE_TO_DECOMMIT_VM 0xC000002Cu    /**< NTSTATUS: unable to decommit vm. */
#define NTMM_STATUS_NOT_COMMITTED 0xC000002Du            /**< NTSTATUS: not committed. */
#define NTMM_STATUS_INVALID_PARAMETER_MIX 0xC0000030u    /**< NTSTATUS: invalid parameter mix. */
#define NTMM_STATUS_OBJECT_NAME_NOT_FOUND 0xC0000034u    /**< NTSTATUS: object name not found. */
#define NTMM_STATUS_OBJECT_NAME_COLLISION 0xC0000035u    /**< NTSTATUS: object name collision. */
#define NTMM_STATUS_SECTION_TOO_BIG 0xC0000040u          /**< NTSTATUS: section too big. */
#define NTMM_STATUS_SHARING_VIOLATION 0xC0000043u        /**< NTSTATUS: sharing violation. */
#define NTMM_STATUS_QUOTA_EXCEEDED 0xC0000044u           /**< NTSTATUS: quota exceeded. */
#define NTMM_STATUS_INVALID_PAGE_PROTECTION 0xC0000045u  /**< NTSTATUS: invalid page protection. */
#define NTMM_STATUS_SECTION_NOT_IMAGE 0xC0000049u        /**< NTSTATUS: section not image. */
#define NTMM_STATUS_BAD_WORKING_SET_LIMIT 0xC000004Cu    /**< NTSTATUS: bad working set limit. */
#define NTMM_STATUS_INCOMPATIBLE_FILE_MAP 0xC000004Du    /**< NTSTATUS: incompatible file map. */
#define NTMM_STATUS_SECTION_PROTECTION 0xC000004Eu       /**< NTSTATUS: section protection. */
#define NTMM_STATUS_FILE_LOCK_CONFLICT 0xC0000054u       /**< NTSTATUS: file lock conflict. */
#define NTMM_STATUS_LOCK_NOT_GRANTED 0xC0000055u         /**< NTSTATUS: lock not granted. */
#define NTMM_STATUS_PRIVILEGE_NOT_HELD 0xC0000061u       /**< NTSTATUS: privilege not held. */
#define NTMM_STATUS_INVALID_IMAGE_FORMAT 0xC000007Bu     /**< NTSTATUS: invalid image format. */
#define NTMM_STATUS_RANGE_NOT_LOCKED 0xC000007Eu         /**< NTSTATUS: range not locked. */
#define NTMM_STATUS_DISK_FULL 0xC000007Fu                /**< NTSTATUS: disk full. */
#define NTMM_STATUS_SECTION_NOT_EXTENDED 0xC0000087u     /**< NTSTATUS: section not extended. */
#define NTMM_STATUS_NOT_MAPPED_DATA 0xC0000088u          /**< NTSTATUS: not mapped data. */
#define NTMM_STATUS_PRIVILEGED_INSTRUCTION 0xC0000096u   /**< NTSTATUS: privileged instruction. */
#define NTMM_STATUS_TOO_MANY_PAGING_FILES 0xC0000097u    /**< NTSTATUS: too many paging files. */
#define NTMM_STATUS_FILE_INVALID 0xC0000098u             /**< NTSTATUS: file invalid. */
#define NTMM_STATUS_INSUFFICIENT_RESOURCES 0xC000009Au   /**< NTSTATUS: insufficient resources. */
#define NTMM_STATUS_DEVICE_DATA_ERROR 0xC000009Cu        /**< NTSTATUS: device data error. */
#define NTMM_STATUS_FREE_VM_NOT_AT_BASE 0xC000009Fu      /**< NTSTATUS: free vm not at base. */
#define NTMM_STATUS_MEMORY_NOT_ALLOCATED 0xC00000A0u     /**< NTSTATUS: memory not allocated. */
#define NTMM_STATUS_WORKING_SET_QUOTA 0xC00000A1u        /**< NTSTATUS: working set quota. */
#define NTMM_STATUS_NOT_SUPPORTED 0xC00000BBu            /**< NTSTATUS: not supported. */
#define NTMM_STATUS_NOT_SAME_DEVICE 0xC00000D4u          /**< NTSTATUS: not same device. */
#define NTMM_STATUS_CANT_WAIT 0xC00000D8u                /**< NTSTATUS: cant wait. */
#define NTMM_STATUS_INTERNAL_ERROR 0xC00000E5u           /**< NTSTATUS: internal error. */
#define NTMM_STATUS_INVALID_USER_BUFFER 0xC00000E8u      /**< NTSTATUS: invalid user buffer. */
#define NTMM_STATUS_INVALID_PARAMETER_1 0xC00000EFu      /**< NTSTATUS: invalid parameter 1. */
#define NTMM_STATUS_INVALID_PARAMETER_2 0xC00000F0u      /**< NTSTATUS: invalid parameter 2. */
#define NTMM_STATUS_INVALID_PARAMETER_3 0xC00000F1u      /**< NTSTATUS: invalid parameter 3. */
#define NTMM_STATUS_INVALID_PARAMETER_4 0xC00000F2u      /**< NTSTATUS: invalid parameter 4. */
#define NTMM_STATUS_INVALID_PARAMETER_5 0xC00000F3u      /**< NTSTATUS: invalid parameter 5. */
#define NTMM_STATUS_INVALID_PARAMETER_6 0xC00000F4u      /**< NTSTATUS: invalid parameter 6. */
#define NTMM_STATUS_INVALID_PARAMETER_7 0xC00000F5u      /**< NTSTATUS: invalid parameter 7. */
#define NTMM_STATUS_INVALID_PARAMETER_8 0xC00000F6u      /**< NTSTATUS: invalid parameter 8. */
#define NTMM_STATUS_INVALID_PARAMETER_9 0xC00000F7u      /**< NTSTATUS: invalid parameter 9. */
#define NTMM_STATUS_INVALID_PARAMETER_10 0xC00000F8u     /**< NTSTATUS: invalid parameter 10. */
#define NTMM_STATUS_INVALID_PARAMETER_11 0xC00000F9u     /**< NTSTATUS: invalid parameter 11. */
#define NTMM_STATUS_INVALID_PARAMETER_12 0xC00000FAu     /**< NTSTATUS: invalid parameter 12. */
#define NTMM_STATUS_STACK_OVERFLOW 0xC00000FDu           /**< NTSTATUS: stack overflow. */
#define NTMM_STATUS_PROCESS_IS_TERMINATING 0xC000010Au   /**< NTSTATUS: process is terminating. */
#define NTMM_STATUS_INVALID_IMAGE_NE_FORMAT 0xC000011Bu  /**< NTSTATUS: invalid image ne format. */
#define NTMM_STATUS_MAPPED_FILE_SIZE_ZERO 0xC000011Eu    /**< NTSTATUS: mapped file size zero. */
#define NTMM_STATUS_CANNOT_DELETE 0xC0000121u            /**< NTSTATUS: cannot delete. */
#define NTMM_STATUS_PAGEFILE_QUOTA_EXCEEDED 0xC000012Cu  /**< NTSTATUS: pagefile quota exceeded. */
#define NTMM_STATUS_COMMITMENT_LIMIT 0xC000012Du         /**< NTSTATUS: commitment limit. */
#define NTMM_STATUS_INVALID_IMAGE_LE_FORMAT 0xC000012Eu  /**< NTSTATUS: invalid image le format. */
#define NTMM_STATUS_INVALID_IMAGE_NOT_MZ 0xC000012Fu     /**< NTSTATUS: invalid image not mz. */
#define NTMM_STATUS_INVALID_IMAGE_PROTECT 0xC0000130u    /**< NTSTATUS: invalid image protect. */
#define NTMM_STATUS_INVALID_IMAGE_WIN_16 0xC0000131u     /**< NTSTATUS: invalid image win 16. */
#define NTMM_STATUS_INVALID_ADDRESS 0xC0000141u          /**< NTSTATUS: invalid address. */
#define NTMM_STATUS_PAGEFILE_CREATE_FAILED 0xC0000146u   /**< NTSTATUS: pagefile create failed. */
#define NTMM_STATUS_NO_PAGEFILE 0xC0000147u              /**< NTSTATUS: no pagefile. */
#define NTMM_STATUS_REGISTRY_CORRUPT 0xC000014Cu         /**< NTSTATUS: registry corrupt. */
#define NTMM_STATUS_INVALID_LOCK_RANGE 0xC00001A1u       /**< NTSTATUS: invalid lock range. */
#define NTMM_STATUS_INVALID_ADDRESS_WILDCARD 0xC0000208u /**< NTSTATUS: invalid address wildcard. */
#define NTMM_STATUS_MAPPED_ALIGNMENT 0xC0000220u         /**< NTSTATUS: mapped alignment. */
#define NTMM_STATUS_IMAGE_CHECKSUM_MISMATCH 0xC0000221u  /**< NTSTATUS: image checksum mismatch. */
#define NTMM_STATUS_STACK_OVERFLOW_READ 0xC0000228u      /**< NTSTATUS: stack overflow read. */
#define NTMM_STATUS_RETRY 0xC000022Du                    /**< NTSTATUS: retry. */
#define NTMM_STATUS_USER_MAPPED_FILE 0xC0000243u         /**< NTSTATUS: user mapped file. */
#define NTMM_STATUS_ILLEGAL_DLL_RELOCATION 0xC0000269u   /**< NTSTATUS: illegal dll relocation. */
#define NTMM_STATUS_VOLUME_DISMOUNTED 0xC000026Eu        /**< NTSTATUS: volume dismounted. */
#define NTMM_STATUS_COMMITMENT_MINIMUM 0xC00002C8u       /**< NTSTATUS: commitment minimum. */
/** NTSTATUS: system image bad signature. */
#define NTMM_STATUS_SYSTEM_IMAGE_BAD_SIGNATURE 0xC00002D1u
#define NTMM_STATUS_INVALID_IMAGE_WIN_32 0xC0000359u  /**< NTSTATUS: invalid image win 32. */
#define NTMM_STATUS_INVALID_IMAGE_WIN_64 0xC000035Au  /**< NTSTATUS: invalid image win 64. */
#define NTMM_STATUS_HEAP_CORRUPTION 0xC0000374u       /**< NTSTATUS: heap corruption. */
#define NTMM_STATUS_STACK_BUFFER_OVERRUN 0xC0000409u  /**< NTSTATUS: stack buffer overrun. */
#define NTMM_STATUS_ASSERTION_FAILURE 0xC0000420u     /**< NTSTATUS: assertion failure. */
#define NTMM_STATUS_INVALID_IMAGE_HASH 0xC0000428u    /**< NTSTATUS: invalid image hash. */
#define NTMM_STATUS_PTE_CHANGED 0xC0000434u           /**< NTSTATUS: pte changed. */
#define NTMM_STATUS_PURGE_FAILED 0xC0000435u          /**< NTSTATUS: purge failed. */
#define NTMM_STATUS_DYNAMIC_CODE_BLOCKED 0xC0000604u  /**< NTSTATUS: dynamic code blocked. */
#define NTMM_STATUS_HARDWARE_MEMORY_ERROR 0xC0000709u /**< NTSTATUS: hardware memory error. */
/** @} */

#endif
